/* SPDX-License-Identifier: Apache-2.0 */
/* commands.h - the commands there are: one line each; the list that plugs them in is src/main/commands.c. */
#pragma once
#include "cli/cli.h"

extern const wr_cmd wr_cmd_init;
extern const wr_cmd wr_cmd_data_ingest, wr_cmd_data_list, wr_cmd_data_show, wr_cmd_data_history, wr_cmd_data_sql,
    wr_cmd_data_profile, wr_cmd_data_check, wr_cmd_data_clean, wr_cmd_data_restore;
extern const wr_cmd wr_cmd_feature_build, wr_cmd_feature_materialize;
extern const wr_cmd wr_cmd_model_train, wr_cmd_model_evaluate, wr_cmd_model_explain, wr_cmd_model_register, wr_cmd_model_promote,
    wr_cmd_model_rollback, wr_cmd_model_alias, wr_cmd_model_report, wr_cmd_model_list, wr_cmd_model_show, wr_cmd_model_diff,
    wr_cmd_model_trace, wr_cmd_model_sign, wr_cmd_model_verify, wr_cmd_model_keygen,
    wr_cmd_model_card, wr_cmd_model_bom;
extern const wr_cmd wr_cmd_deploy_list, wr_cmd_deploy_load, wr_cmd_deploy_unload, wr_cmd_deploy_infer, wr_cmd_deploy_replay,
    wr_cmd_deploy_feedback, wr_cmd_deploy_flush, wr_cmd_deploy_study;
extern const wr_cmd wr_cmd_deploy_rollout, wr_cmd_deploy_split, wr_cmd_deploy_shadow, wr_cmd_deploy_switch, wr_cmd_deploy_bandit,
    wr_cmd_deploy_status, wr_cmd_deploy_promote, wr_cmd_deploy_rollback;
extern const wr_cmd wr_cmd_run, wr_cmd_status, wr_cmd_graph, wr_cmd_runs_list, wr_cmd_runs_show;
extern const wr_cmd wr_cmd_runs_search, wr_cmd_runs_compare, wr_cmd_runs_plot, wr_cmd_runs_delete, wr_cmd_runs_restore,
    wr_cmd_runs_purge, wr_cmd_runs_watch, wr_cmd_runs_sync, wr_cmd_user_add, wr_cmd_user_list, wr_cmd_user_remove,
    wr_cmd_user_password, wr_cmd_user_token, wr_cmd_user_grant, wr_cmd_user_audit, wr_cmd_up, wr_cmd_monitor,
    wr_cmd_sustain_report, wr_cmd_trace;
extern const wr_cmd wr_cmd_study_list, wr_cmd_study_show, wr_cmd_study_delete, wr_cmd_study_import, wr_cmd_study_export;
extern const wr_cmd wr_cmd_import, wr_cmd_backup;
extern const wr_cmd wr_cmd_help, wr_cmd_man, wr_cmd_completions;
