#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes grammar/*.tsv: generated filter and order_by expressions, with what MLflow 3's own parser and store say to each.

    grammar.py [--seed N] [--count N]        run with a Python that has mlflow 3 (see README.md)

A line has four columns: expression, verdict, parse, source. The expression is raw text without tabs and line ends.
  verdict  accept  MLflow's SQL store ran the search
           reject  it said INVALID_PARAMETER_VALUE
           error   it failed in another way (a user would see status 500): both answers are right, a crash is not
  parse    JSON. A filter: a list of {"type", "key", "comparator", "value"}, comparator in capitals, aliases of keys and entities resolved, value a number,
           a string, a list of strings or null. An order: {"type", "key", "ascending"}. null when not accepted.
  source   grammar  made from the grammar      mutated  one of those with a small change      noise  tokens in any order
           beyond   has OR, grouping or BETWEEN, which Weir knows and MLflow refuses: the verdict does not bind
"""
import argparse, itertools, json, os, random, re, sys, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
STRING_OPS = ["=", "!=", "LIKE", "ILIKE"]
NUMBER_OPS = ["=", "!=", ">", ">=", "<", "<="]
IN_OPS = ["IN", "NOT IN"]
NULL_OPS = ["IS NULL", "IS NOT NULL"]
ALL_OPS = NUMBER_OPS + ["LIKE", "ILIKE", "RLIKE", "==", "<>", "!", "~", "REGEXP", "BETWEEN", "NOT LIKE", "CONTAINS", ":=", "<=>"] + IN_OPS + NULL_OPS
BARE_KEYS = ["acc", "loss", "val_loss", "lr", "m.x", "a.b.c", "k1", "_private", "model_name", "mlflow.user", "f1", "team"]
QUOTED_KEYS = ["a b", "a/b", "val-loss", "mlflow.prompt.is_prompt", "x:y", "acc", "my key.with.dots", "größe", "1st", "m@3", "it's", "(x)"]
WORD_KEYS = ["order", "key", "value", "type", "date", "user", "time", "select", "group",
             "name", "count", "precision", "level", "rank", "in", "and", "null", "timestamp"]
STRINGS = ["x", "", "a%", "_b%", "%", "hello world", "RandomForest", "0.5", "true", "it is", "größe", "a;b", "--c", "/* d */",
           "1) OR (1", "a''b", "A\\b", "#", "`q`"]
NUMBERS = ["0", "1", "-1", "42", "3.5", "-0.25", "1e5", "1E-3", "1e+5", ".5", "-.5", "5.", "+1", "1_000", "0x10", "NaN",
           "Infinity", "-Infinity", "inf", "9223372036854775807", "1700000000000", "1e400", "00012", "--1", "- 1", "1.2.3"]
HEX = ["0123456789abcdef0123456789abcdef", "ABC", "m-0a1b"]


class Entity:
    """What one search knows: for each prefix the keys and how they compare."""

    def __init__(self, prefixes, strings, numbers, free, in_keys=(), null=(), free_number=()):
        self.prefixes = prefixes        # spellings of the attribute prefix, "" among them
        self.strings = strings          # attribute keys compared as text
        self.numbers = numbers          # attribute keys compared as numbers
        self.free = free                # prefixes with any key, text
        self.free_number = free_number  # prefixes with any key, numbers
        self.in_keys = in_keys          # attribute keys that take lists
        self.null = null                # prefixes that take IS [NOT] NULL


ENTITIES = {
    "runs": Entity(["", "attribute.", "attributes.", "attr.", "run."], ["run_id", "run_name", "user_id", "status", "artifact_uri", "`run name`", '"Run Name"'],
                   ["start_time", "end_time", "created", "Created"], ["param.", "params.", "parameter.", "parameters.", "tag.", "tags."], ["run_id"],
                   ["tag.", "tags.", "params.", "param."], ["metric.", "metrics."]),
    "experiments": Entity(["", "attribute."], ["name"], ["creation_time", "last_update_time", "experiment_id"], ["tag.", "tags."],
                          ["experiment_id"], ["tags.", "tag."]),
    "models": Entity(["", "attribute."], ["name"], [], ["tag.", "tags."], ["name"]),
    "versions": Entity(["", "attribute."], ["name", "run_id", "source_path"], ["version_number"], ["tag.", "tags."], ["run_id", "name"]),
    "logged_models": Entity(["", "attributes."], ["name", "model_id", "model_type", "status", "source_run_id"],
                            ["creation_timestamp", "creation_time", "creation_timestamp_ms", "last_updated_timestamp_ms", "last_updated_timestamp"],
                            ["params.", "tags."], ["name", "model_id", "status"], [], ["metrics."]),
    "traces": Entity(["", "attribute.", "attributes.", "trace."], ["request_id", "status", "name", "run_id", "client_request_id", "prompt", "text"],
                     ["timestamp", "timestamp_ms", "execution_time", "execution_time_ms", "end_time", "end_time_ms"],
                     ["tag.", "tags.", "metadata.", "request_metadata.", "feedback.", "expectation.", "span.attributes."],
                     ["name", "status", "request_id", "run_id", "client_request_id"], ["tags.", "metadata.", "feedback.", "expectation."], ["feedback."]),
}
EXTRA = {
    "runs": ["dataset.name", "datasets.digest", "dataset.context", "dataset.source"],
    "traces": ["span.name", "span.type", "span.status", "span.content", "span.parent", "issue.id", "issue.name"],
}
ORDER_KEYS = {
    "runs": ["start_time", "end_time", "status", "run_name", "user_id", "artifact_uri", "run_id", "created", "name", "nothing"],
    "experiments": ["name", "experiment_id", "creation_time", "last_update_time", "nothing"],
    "models": ["name", "timestamp", "last_updated_timestamp", "creation_timestamp", "nothing"],
    "versions": ["name", "version_number", "creation_timestamp", "last_updated_timestamp", "version", "nothing"],
    "logged_models": ["name", "creation_timestamp", "creation_time", "creation_timestamp_ms", "last_updated_timestamp", "last_updated_timestamp_ms",
                      "model_id", "status", "nothing"],
    "traces": ["timestamp", "timestamp_ms", "execution_time", "end_time", "status", "request_id", "name", "run_id", "experiment_id", "nothing"],
}


class Maker:
    """Random expressions of one entity."""

    def __init__(self, name, seed):
        self.r, self.name, self.e = random.Random(f"{seed}/{name}"), name, ENTITIES[name]

    def case(self, word):
        """Operator words come in any case."""
        way = self.r.random()
        return word if way < 0.6 else word.lower() if way < 0.9 else "".join(self.r.choice((c.lower(), c.upper())) for c in word)

    def text(self):
        inner = self.r.choice(STRINGS)
        quote = "'" if self.r.random() < 0.75 else '"'
        return quote + inner + quote

    def key(self):
        way = self.r.random()
        if way < 0.6:
            return self.r.choice(BARE_KEYS)
        if way < 0.85:
            return "`" + self.r.choice(QUOTED_KEYS) + "`"
        if way < 0.95:
            return '"' + self.r.choice(QUOTED_KEYS) + '"'
        return self.r.choice(WORD_KEYS)

    def number(self):
        return self.r.choice(NUMBERS[:9] if self.r.random() < 0.8 else NUMBERS)

    def list(self):
        items = [self.text() for _ in range(self.r.choice((1, 1, 2, 3, 5)))]
        if self.r.random() < 0.3:
            items[0] = "'" + self.r.choice(HEX) + "'"
        if self.r.random() < 0.05:
            items[-1] = self.r.choice(("1", "x", "''", "NULL", "-2.5"))
        comma = self.r.choice((",", ", ", " , "))
        return "(" + comma.join(items) + ("," if self.r.random() < 0.15 else "") + ")"

    def space(self):
        return "" if self.r.random() < 0.2 else "  " if self.r.random() < 0.1 else " "

    def compare(self, ident, ops, value):
        op = self.r.choice(ops)
        if op in NULL_OPS:
            return f"{ident} {self.case(op)}"
        if op in IN_OPS:
            return f"{ident} {self.case(op)} {self.list()}"
        if op.isalpha():
            return f"{ident} {self.case(op)} {value}"
        return f"{ident}{self.space()}{op}{self.space()}{value}"

    def clause(self):
        r, e = self.r, self.e
        way = r.random()
        if way < 0.25 and e.strings:
            key = r.choice(e.strings)
            quoted = f"`{key}`" if r.random() < 0.1 and key[0].isalnum() else key
            ops = STRING_OPS + (IN_OPS if key in e.in_keys else []) + (["RLIKE"] if self.name == "traces" else [])
            return self.compare(r.choice(e.prefixes) + quoted, ops, self.text())
        if way < 0.4 and e.numbers:
            return self.compare(r.choice(e.prefixes) + r.choice(e.numbers), NUMBER_OPS, self.number())
        if way < 0.6 and e.free_number:
            return self.compare(r.choice(e.free_number) + self.key(), NUMBER_OPS, self.number())
        if way < 0.7 and e.null:
            return f"{r.choice(e.null)}{self.key()} {self.case(r.choice(NULL_OPS))}"
        if way < 0.8 and self.name in EXTRA:
            return self.compare(r.choice(EXTRA[self.name]), STRING_OPS + IN_OPS, self.text())
        return self.compare(r.choice(e.free) + self.key(), STRING_OPS, self.text())

    def filter(self):
        clauses = [self.clause() for _ in range(self.r.choice((1, 1, 1, 2, 2, 3, 4)))]
        out = clauses[0]
        for clause in clauses[1:]:
            out += f" {self.case('AND')} {clause}"
        if self.r.random() < 0.04:
            out += " AND"
        if self.r.random() < 0.05:
            out = " " + out + "  "
        return out

    def wrong_clause(self):
        """A clause of the right form with an operator, key or value that may not go together."""
        r, e = self.r, self.e
        prefix = r.choice(e.prefixes + list(e.free) + list(e.free_number) + ["metrics.", "param.", "tag.", "dataset.", "span.", "foo.",
                                                                                     "attribute.", ".", "`tags`.", '"tag".', "Tags."])
        key = r.choice([self.key(), r.choice(list(e.strings) + list(e.numbers) + ["nothing", ""])])
        value = r.choice([self.text, self.number, self.list, self.key, lambda: "", lambda: "NULL", lambda: "true"])()
        op = r.choice(ALL_OPS)
        return f"{prefix}{key} {op}" if op in NULL_OPS and r.random() < 0.8 else f"{prefix}{key} {op} {value}"

    def mutate(self, text):
        r = self.r
        way = r.randrange(8)
        at = r.randrange(len(text) + 1)
        if way == 0:
            return text[:at] + text[at + 1:]
        if way == 1:
            return text[:at] + r.choice("'\"`().,;=<>! %-#") + text[at:]
        if way == 2:
            return text[:at]
        if way == 3:
            return re.sub(r" (?i:and) ", r.choice([" OR ", " ", ", ", " AND AND ", " && ", "; "]), text, count=1)
        if way == 4:
            return r.choice(["AND ", "NOT ", "(", "WHERE ", "SELECT ", "; "]) + text
        if way == 5:
            return text + r.choice([")", ";", " OR 1 = 1", " AND AND", " ORDER BY x", " -- x", ",", " LIMIT 1"])
        if way == 6:
            return f"{self.wrong_clause()} AND {text}"
        return self.wrong_clause()

    def noise(self):
        tokens = ALL_OPS + NUMBERS[:12] + ["AND", "OR", "NOT", "(", ")", ",", ";", "'", '"', "`", "IS", "NULL", "IN", "''", "`a b`", "'x'", "name", "tags.a",
                                          "metrics.m",
                                          "params.`p q`", "status", "a.b.c", ".", "..", "tags.", "()", "('a','b')", "*", "?"]
        return " ".join(self.r.choice(tokens) for _ in range(self.r.randrange(1, 8)))

    def order(self):
        r = self.r
        if r.random() < 0.55:
            key = r.choice(self.e.prefixes) + r.choice(ORDER_KEYS[self.name])
        else:
            key = r.choice(list(self.e.free) + list(self.e.free_number) + ["dataset.", "foo."]) + self.key()
        if self.name == "logged_models":  # the direction is a field of its own
            return key
        tail = r.choice(["", "", " ASC", " DESC", " asc", " desc", " Desc", "  ASC", " ", " DESCENDING", " ACS", ", name", " ASC DESC", " ASC NULLS LAST", ";"]
                        if r.random() < 0.35 else ["", " ASC", " DESC", " asc", " desc"])
        return key + tail


def beyond(text):
    """Whether the text uses what only Weir knows: OR, groups, BETWEEN. Quoted parts and lists after IN do not count."""
    bare = re.sub(r"'[^']*'|\"[^\"]*\"|`[^`]*`", "q", text)
    bare = re.sub(r"(?i)\bIN\s*\([^()]*\)", "q", bare)
    return re.search(r"(?i)\bOR\b|\bBETWEEN\b|\|\||[()]", bare) is not None


def number_or(value):
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    return list(value) if isinstance(value, (tuple, set)) else value


class Judge:
    """MLflow itself: its stores over an empty SQLite file decide, its parsers say what was understood."""

    def __init__(self, folder):
        from mlflow.exceptions import MlflowException
        from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as Registry
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as Tracking
        from mlflow.utils import search_utils as s
        from mlflow.utils.search_logged_model_utils import parse_filter_string
        from mlflow.entities import ViewType
        self.exception, self.s, self.logged = MlflowException, s, parse_filter_string
        uri = f"sqlite:///{folder}/mlflow.db"
        t, m = Tracking(uri, folder), Registry(uri)
        every = ViewType.ACTIVE_ONLY
        self.search = {
            "runs": lambda f, o: t.search_runs(["0"], f, every, 10, o),
            "experiments": lambda f, o: t.search_experiments(every, 10, f, o),
            "models": lambda f, o: m.search_registered_models(f, 10, o),
            "versions": lambda f, o: m.search_model_versions(f, 10, o),
            "logged_models": lambda f, o: t.search_logged_models(["0"], f, None, 10, [{"field_name": x} for x in o] if o else None),
            "traces": lambda f, o: t.search_traces(experiment_ids=["0"], filter_string=f, max_results=10, order_by=o),
        }

    def clauses(self, name, text):
        s = self.s
        if name == "logged_models":
            kinds = {"attributes": "attribute", "metrics": "metric", "params": "parameter", "tags": "tag"}
            return [{"type": kinds[c.entity.type.value], "key": c.entity.key, "comparator": c.op, "value": number_or(c.value)} for c in self.logged(text)]
        parse = {
            "runs": s.SearchUtils.parse_search_filter, "experiments": s.SearchExperimentsUtils.parse_search_filter,
            "models": s.SearchModelUtils.parse_search_filter, "versions": s.SearchModelVersionUtils.parse_search_filter,
            "traces": s.SearchTraceUtils.parse_search_filter_for_search_traces,
        }[name]
        out = []
        for c in parse(text):
            key = s.SearchUtils.translate_key_alias(c["key"]) if c["type"] == "attribute" else c["key"]
            value = float(c["value"]) if c["type"] == "metric" else number_or(c["value"])
            out.append({"type": c["type"], "key": key, "comparator": c["comparator"].upper(), "value": number_or(value)})
        return out

    def order(self, name, text):
        s = self.s
        if name == "logged_models":  # a field name, the direction is a field of its own
            from mlflow.utils.search_logged_model_utils import Entity as Field
            kind = {"attributes": "attribute", "metrics": "metric", "params": "parameter", "tags": "tag"}
            field = Field.from_str(text)
            return {"type": kind[field.type.value], "key": field.key, "ascending": True}
        if name == "models":
            key, ascending = s.SearchUtils.parse_order_by_for_search_registered_models(text)
            return {"type": "attribute", "key": key, "ascending": ascending}
        parse = {
            "runs": s.SearchUtils.parse_order_by_for_search_runs, "experiments": s.SearchExperimentsUtils.parse_order_by_for_search_experiments,
            "versions": s.SearchModelVersionUtils.parse_order_by_for_search_model_versions, "traces": s.SearchTraceUtils.parse_order_by_for_search_traces,
        }[name]
        kind, key, ascending = parse(text)
        return {"type": kind, "key": s.SearchUtils.translate_key_alias(key) if kind == "attribute" else key, "ascending": ascending}

    def judge(self, name, text, is_order):
        try:
            self.search[name](None if is_order else text, [text] if is_order else None)
            parse = self.order(name, text) if is_order else self.clauses(name, text)
            return "accept", json.dumps(parse, ensure_ascii=False, allow_nan=False)
        except self.exception as e:
            return ("reject" if e.error_code == "INVALID_PARAMETER_VALUE" else "error"), "null"
        except Exception:
            return "error", "null"


def make_filters(maker, count):
    for i in range(count):
        way = i % 10
        if way < 5:
            yield "grammar", maker.filter()
        elif way < 9:
            yield "mutated", maker.mutate(maker.filter())
        else:
            yield "noise", maker.noise()


def write(path, judge, name, rows, is_order):
    seen, tally = set(), {}
    with open(path, "w", encoding="utf-8") as f:
        f.write("# expression\tverdict\tparse\tsource (made by grammar.py, see there)\n")
        for source, text in rows:
            if text in seen or not text or re.search(r"[\t\r\n\x00]", text) or text[0] == "#":
                continue
            seen.add(text)
            verdict, parse = judge.judge(name, text, is_order)
            source = "beyond" if source != "grammar" and not is_order and beyond(text) else source
            f.write(f"{text}\t{verdict}\t{parse}\t{source}\n")
            tally[verdict] = tally.get(verdict, 0) + 1
    print(os.path.basename(path), tally)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", default="weir")
    parser.add_argument("--count", type=int, default=1000, help="filters for each entity; a fifth as many orders")
    parser.add_argument("--out", default=os.path.join(HERE, "grammar"))
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        judge = Judge(folder)
        for name in ENTITIES:
            maker = Maker(name, args.seed)
            write(os.path.join(args.out, f"{name}.tsv"), judge, name, make_filters(maker, args.count), False)
            orders = (("grammar", maker.order()) for _ in itertools.repeat(None, args.count // 5))
            write(os.path.join(args.out, f"order_{name}.tsv"), judge, name, orders, True)


if __name__ == "__main__":
    sys.exit(main())
