terraform {
  # 1.2 brought preconditions, which check variables against each other.
  required_version = ">= 1.2"

  required_providers {
    coder = {
      source  = "coder/coder"
      version = ">= 2.13"
    }
  }
}

data "coder_workspace" "me" {}

data "coder_workspace_owner" "me" {}

data "coder_task" "me" {}

locals {
  # Outside a task the data source invents a new ID at every plan.
  own_task_id = data.coder_task.me.enabled ? data.coder_task.me.id : ""
  task_id     = var.task_id == null ? local.own_task_id : var.task_id

  # Without a subdomain the chat is served below a path. Agents of older Coder versions do not know their own name, so
  # the path names the agent by ID.
  chat_base_path = var.agentapi_subdomain ? "" : "/@${data.coder_workspace_owner.me.name}/${data.coder_workspace.me.name}.${var.agent_id}/apps/${var.web_app_slug}/chat"

  # vX.Y.Z from v0.3.3 on, or anything that is no vX.Y.Z.
  subdomain_can_be_off = !can(regex("^v\\d+\\.\\d+\\.\\d+$", var.agentapi_version)) || can(regex("^v(0\\.(3\\.([3-9]|[1-9]\\d+)|([4-9]|[1-9]\\d+)\\.\\d+)|[1-9]\\d*\\.\\d+\\.\\d+)$", var.agentapi_version))

  start_args = {
    ARG_AGENTAPI_CHAT_BASE_PATH      = local.chat_base_path
    ARG_AGENTAPI_PORT                = var.agentapi_port
    ARG_AGENTAPI_VERSION             = var.agentapi_version
    ARG_BOUNDARY_VERSION             = var.boundary_version
    ARG_COMPILE_BOUNDARY_FROM_SOURCE = var.compile_boundary_from_source
    ARG_ENABLE_BOUNDARY              = var.enable_boundary
    ARG_ENABLE_STATE_PERSISTENCE     = var.enable_state_persistence
    ARG_INSTALL_AGENTAPI             = var.install_agentapi
    ARG_INSTALL_SCRIPT               = var.install_script
    ARG_MODULE_DIR_NAME              = var.module_dir_name
    ARG_PID_FILE_PATH                = var.pid_file_path
    ARG_POST_INSTALL_SCRIPT          = var.post_install_script == null ? "" : var.post_install_script
    ARG_PRE_INSTALL_SCRIPT           = var.pre_install_script == null ? "" : var.pre_install_script
    ARG_START_SCRIPT                 = var.start_script
    ARG_STATE_FILE_PATH              = var.state_file_path
    ARG_TASK_ID                      = local.task_id
    ARG_TASK_LOG_SNAPSHOT            = var.task_log_snapshot
    ARG_USE_BOUNDARY_DIRECTLY        = var.use_boundary_directly
    ARG_WORKDIR                      = var.folder == "/" ? "/" : trimsuffix(var.folder, "/")
  }

  shutdown_args = {
    ARG_AGENTAPI_PORT                  = var.agentapi_port
    ARG_ENABLE_STATE_PERSISTENCE       = var.enable_state_persistence
    ARG_MODULE_DIR_NAME                = var.module_dir_name
    ARG_PID_FILE_PATH                  = var.pid_file_path
    ARG_SHUTDOWN_TIMEOUT               = var.shutdown_timeout
    ARG_STATE_FILE_PATH                = var.state_file_path
    ARG_TASK_ID                        = local.task_id
    ARG_TASK_LOG_SNAPSHOT              = var.task_log_snapshot
    ARG_TASK_LOG_SNAPSHOT_MAX_MESSAGES = var.task_log_snapshot_max_messages
  }

  # The one quoting rule: inside single quotes a shell takes everything literally but the single quote itself. The
  # start script's values stay unexported, since they may hold the author's secrets and AgentAPI inherits the rest.
  start_script = join("\n", concat(
    ["#!/bin/sh"],
    [for name, value in local.start_args : "${name}='${replace(value, "'", "'\\''")}'"],
    [for part in ["agentapi-install", "agentapi-port", "boundary", "agentapi-start"] : file("${path.module}/scripts/${part}.sh")],
  ))
  shutdown_script = join("\n", concat(
    ["#!/bin/sh"],
    [for name, value in local.shutdown_args : "export ${name}='${replace(value, "'", "'\\''")}'"],
    # Indentation, comments and empty lines stay behind: they are a seventh of it, and none of it is inside a string.
    [replace(file("${path.module}/scripts/agentapi-shutdown.sh"), "/(?m)^[ \\t]*(((#|// ).*)?\\n)?/", "")],
  ))

  quoted_module_dir = "'${replace(var.module_dir_name, "'", "'\\''")}'"

  # The Coder agent passes a script as one argument, and Linux's limit for one (MAX_ARG_STRLEN) is 131,072 bytes with
  # the closing NUL. Base64 is the only measure of bytes that Terraform has.
  start_script_bytes = length(base64encode(local.start_script)) / 4 * 3
}

resource "coder_script" "agentapi" {
  agent_id     = var.agent_id
  display_name = "Install and start AgentAPI"
  icon         = var.web_app_icon
  run_on_start = true
  script       = local.start_script

  lifecycle {
    precondition {
      condition     = var.agentapi_subdomain || local.subdomain_can_be_off
      error_message = "Running with subdomain = false is only supported by agentapi >= v0.3.3."
    }
    precondition {
      condition     = local.start_script_bytes < 131072
      error_message = "The scripts are too large: pre_install_script, install_script, post_install_script and start_script make a start script of ${local.start_script_bytes} bytes, and Linux allows 131071. Download large files inside the scripts instead of embedding them."
    }
  }
}

resource "coder_script" "agentapi_shutdown" {
  agent_id     = var.agent_id
  display_name = "AgentAPI Shutdown"
  icon         = var.web_app_icon
  run_on_stop  = true
  script       = local.shutdown_script
}

resource "coder_env" "boundary_config" {
  count = var.enable_boundary && var.boundary_config_path != "" ? 1 : 0

  agent_id = var.agent_id
  name     = "BOUNDARY_CONFIG"
  value    = var.boundary_config_path
}

resource "coder_app" "agentapi_web" {
  count = var.web_app || data.coder_task.me.enabled ? 1 : 0

  agent_id     = var.agent_id
  slug         = var.web_app_slug
  display_name = var.web_app_display_name
  url          = "http://localhost:${var.agentapi_port}/"
  icon         = var.web_app_icon
  order        = var.web_app_order
  group        = var.web_app_group
  subdomain    = var.agentapi_subdomain

  healthcheck {
    url       = "http://localhost:${var.agentapi_port}/status"
    interval  = 3
    threshold = 20
  }
}

resource "coder_app" "agentapi_cli" {
  count = var.cli_app ? 1 : 0

  agent_id     = var.agent_id
  slug         = var.cli_app_slug
  display_name = var.cli_app_display_name
  icon         = var.cli_app_icon
  order        = var.cli_app_order
  group        = var.cli_app_group
  command      = <<-EOT
    #!/bin/sh
    export LANG=en_US.UTF-8
    export LC_ALL=en_US.UTF-8
    PATH="$PATH:$HOME/"${local.quoted_module_dir}/bin
    exec agentapi attach --url 'localhost:${var.agentapi_port}'
  EOT
}
