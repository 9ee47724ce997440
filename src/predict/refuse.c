/* SPDX-License-Identifier: Apache-2.0 */
/* refuse.c - what people have instead of a declarative model file. A pickle is a program: loading it runs what it says.
 */
#include "predict/refuse.h"

static const char pickle_hint[] =
    "a pickle runs code when it is loaded; export the model: skl2onnx for scikit-learn, save_model(\"model.json\") for "
    "XGBoost, booster_.save_model(\"model.txt\") for LightGBM";
static const char torch_hint[] = "export it: torch.onnx.export(model, example, \"model.onnx\")";
static const char tf_hint[] = "export it: python -m tf2onnx.convert --saved-model FOLDER --output model.onnx";
static const char weights_hint[] = "weights alone say nothing of the graph; export the model to ONNX";

static const struct {
    const char *ending; /* of the file's name, lower case; "/x" is the whole name; NULL = any */
    const char *head;   /* first bytes; NULL = any */
    size_t nhead;
    const char *what, *hint;
} refused[] = {
    {".pkl", NULL, 0, "a pickle", pickle_hint},
    {".pickle", NULL, 0, "a pickle", pickle_hint},
    {".joblib", NULL, 0, "a pickle (joblib)", pickle_hint},
    {".skops", NULL, 0, "a skops file", "skops files name Python types; export the model with skl2onnx"},
    {".pt", NULL, 0, "a PyTorch file", torch_hint},
    {".pth", NULL, 0, "a PyTorch file", torch_hint},
    {".pt2", NULL, 0, "a PyTorch file", torch_hint},
    {".h5", NULL, 0, "a Keras file", tf_hint},
    {".keras", NULL, 0, "a Keras file", tf_hint},
    {"/saved_model.pb", NULL, 0, "a TensorFlow model", tf_hint},
    {".pb", NULL, 0, "a TensorFlow graph", tf_hint},
    {".tflite", NULL, 0, "a TensorFlow Lite model",
     "export it: python -m tf2onnx.convert --tflite FILE --output model.onnx"},
    {".cbm", NULL, 0, "a CatBoost file", "export it: model.save_model(\"model.onnx\", format=\"onnx\")"},
    {".safetensors", NULL, 0, "a file of weights", weights_hint},
    {".gguf", NULL, 0, "a language model", "language models are not served"},
    {".npy", NULL, 0, "an array", NULL},
    {".npz", NULL, 0, "a set of arrays", NULL},
    {NULL, "\x80\x02", 2, "a pickle", pickle_hint}, /* the protocols that have a head; 0 and 1 look like text */
    {NULL, "\x80\x03", 2, "a pickle", pickle_hint},
    {NULL, "\x80\x04", 2, "a pickle", pickle_hint},
    {NULL, "\x80\x05", 2, "a pickle", pickle_hint},
    {NULL, "\x89HDF\r\n\x1a\n", 8, "an HDF5 file", tf_hint},
    {NULL, "PK\x03\x04", 4, "an archive",
     "unpack it; of PyTorch, Keras and skops archives only an ONNX export is served"},
    {NULL, "CBM1", 4, "a CatBoost file", "export it: model.save_model(\"model.onnx\", format=\"onnx\")"},
    {NULL, "GGUF", 4, "a language model", "language models are not served"},
    {NULL, "binf", 4, "a model in XGBoost's old binary form", "load it with XGBoost and save_model(\"model.json\")"},
    {NULL, "\x93NUMPY", 6, "an array", NULL},
};

static bool ends(wr_str name, const char *ending)
{
    if (ending[0] == '/') return wr_str_is(name, ending + 1);
    size_t n = strlen(ending);
    return name.n >= n && wr_str_ieq(wr_str_sub(name, name.n - n, name.n), ending);
}

const char *wr_refuse_file(const char **hint, wr_str file_name, wr_str head)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        if (refused[i].ending && !ends(file_name, refused[i].ending)) continue;
        if (refused[i].head && (head.n < refused[i].nhead || memcmp(head.p, refused[i].head, refused[i].nhead) != 0))
            continue;
        *hint =
            refused[i].hint ? refused[i].hint : "a model file is served: ONNX, XGBoost (JSON, UBJSON), LightGBM (text)";
        return refused[i].what;
    }
    return NULL;
}

const char *wr_refuse_flavor(wr_str flavor)
{
    static const struct {
        const char *flavor, *hint;
    } hints[] = {
        {"sklearn", "export it: mlflow.onnx.log_model(skl2onnx.to_onnx(model, X[:1])), and register that"},
        {"pytorch", "export it: torch.onnx.export, then mlflow.onnx.log_model"},
        {"tensorflow", "export it with tf2onnx, then mlflow.onnx.log_model"},
        {"keras", "export it with tf2onnx, then mlflow.onnx.log_model"},
        {"catboost", "export it: model.save_model(\"model.onnx\", format=\"onnx\"), then mlflow.onnx.log_model"},
        {"weir", "a package of Weir's is served as an endpoint: endpoints: {NAME: {model: MODEL@champion}}"},
    };
    for (size_t i = 0; i < sizeof hints / sizeof *hints; i++)
        if (wr_str_is(flavor, hints[i].flavor)) return hints[i].hint;
    return "flavors that are served: onnx, xgboost, lightgbm; everything else has to be exported to ONNX";
}
