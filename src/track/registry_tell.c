/* SPDX-License-Identifier: Apache-2.0 */
/* registry_tell.c - changes of the registry as events of webhooks. A prompt's events have names of their own. */
#include <stdio.h>

#include "track/registry_inside.h"

int wr_registered_tell(wr_track *t, int64_t model, wr_registered_news news, const char *action,
                       const wr_webhook_data *data, wr_err *err)
{
    static const struct {
        const char *model, *prompt;
    } entities[] = {
        [WR_NEWS_MODEL] = {"registered_model", "prompt"},
        [WR_NEWS_MODEL_TAG] = {NULL, "prompt_tag"}, /* of a model MLflow does not tell */
        [WR_NEWS_VERSION] = {"model_version", "prompt_version"},
        [WR_NEWS_VERSION_TAG] = {"model_version_tag", "prompt_version_tag"},
        [WR_NEWS_ALIAS] = {"model_version_alias", "prompt_alias"},
    };
    int64_t any, prompt;
    WR_TRY(wr_track_number(&any, 0, t, err, "SELECT 1 FROM webhooks WHERE status = 1 LIMIT 1", ""));
    if (!any) return 0;
    if (news == WR_NEWS_MODEL || news == WR_NEWS_VERSION) prompt = wr_registered_is_prompt(data->tags, data->ntags);
    else
        WR_TRY(wr_track_number(&prompt, 0, t, err,
                               "SELECT 1 FROM registered_model_tags WHERE model = ? AND key = '" WR_PROMPT_TAG
                               "' AND lower(value) = 'true'",
                               "i", model));
    const char *entity = prompt ? entities[news].prompt : entities[news].model;
    return entity ? wr_webhook_emit(t, wr_str_of(entity), wr_str_of(action), data, err) : 0;
}

wr_str wr_registered_number(char out[24], int64_t version)
{
    int n = snprintf(out, 24, "%lld", (long long)version);
    return (wr_str){out, (size_t)n};
}
