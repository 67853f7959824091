variable "agent_id" {
  description = "ID of the Coder agent that runs the scripts and serves the apps."
  type        = string
  nullable    = false
}

variable "module_dir_name" {
  description = "Folder below the home directory for the module's scripts, logs, PID file and state, for example `.claude-module`."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[^/~\n][^\n]*$", var.module_dir_name)) && !contains(split("/", var.module_dir_name), "..")
    error_message = "The module_dir_name must be a path relative to the home directory, without `..` and without a leading `/` or `~`, for example \".claude-module\"."
  }
}

variable "start_script" {
  description = "Script that starts `agentapi server` on the port it gets as its second argument; the first is always `true`. A shebang picks its interpreter."
  type        = string
  nullable    = false

  validation {
    condition     = trimspace(var.start_script) != ""
    error_message = "The start_script must not be empty: it starts AgentAPI, for example \"#!/bin/bash\\nagentapi server --port \\\"$2\\\" -- goose\"."
  }
}

variable "web_app_slug" {
  description = "Slug of the web app, unique in the workspace."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]+(-[a-z0-9]+)*$", var.web_app_slug))
    error_message = "The web_app_slug must be lower-case letters, digits and single hyphens between them, for example \"claude-web\"."
  }
}

variable "web_app_display_name" {
  description = "Name of the web app in the dashboard, at most 64 characters."
  type        = string
  nullable    = false

  validation {
    condition     = length(var.web_app_display_name) <= 64
    error_message = "The web_app_display_name must have at most 64 characters, for example \"Claude Code\"."
  }
}

variable "web_app_icon" {
  description = "Icon of the web app and of the scripts: a URL, or a path of the Coder deployment such as `/icon/claude.svg`."
  type        = string
  nullable    = false
}

variable "cli_app_slug" {
  description = "Slug of the CLI app, unique in the workspace; used only with `cli_app`."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]+(-[a-z0-9]+)*$", var.cli_app_slug))
    error_message = "The cli_app_slug must be lower-case letters, digits and single hyphens between them, for example \"claude-cli\"."
  }
}

variable "cli_app_display_name" {
  description = "Name of the CLI app in the dashboard, at most 64 characters; used only with `cli_app`."
  type        = string
  nullable    = false

  validation {
    condition     = length(var.cli_app_display_name) <= 64
    error_message = "The cli_app_display_name must have at most 64 characters, for example \"Claude Code CLI\"."
  }
}

variable "web_app" {
  description = "Whether to create the web app. A task always gets it, since Coder shows the task through it."
  type        = bool
  default     = true
  nullable    = false
}

variable "web_app_order" {
  description = "Position of the web app among the workspace's apps, lowest first; null leaves it to Coder."
  type        = number
  default     = null
}

variable "web_app_group" {
  description = "Group of apps that the web app is shown in; null for none."
  type        = string
  default     = null
}

variable "cli_app" {
  description = "Whether to create the CLI app, a terminal with `agentapi attach`."
  type        = bool
  default     = false
  nullable    = false
}

variable "cli_app_icon" {
  description = "Icon of the CLI app: a URL, or a path of the Coder deployment."
  type        = string
  default     = "/icon/claude.svg"
}

variable "cli_app_order" {
  description = "Position of the CLI app among the workspace's apps, lowest first; null leaves it to Coder."
  type        = number
  default     = null
}

variable "cli_app_group" {
  description = "Group of apps that the CLI app is shown in; null for none."
  type        = string
  default     = null
}

variable "folder" {
  description = "Folder that AgentAPI and its agent run in; created when missing. A trailing slash is trimmed."
  type        = string
  default     = "/home/coder"
  nullable    = false

  validation {
    condition     = var.folder != ""
    error_message = "The folder must not be empty, for example \"/home/coder/project\"."
  }
}

variable "pre_install_script" {
  description = "Script that runs before `install_script`; null for none."
  type        = string
  default     = null
}

variable "install_script" {
  description = "Script that installs the agent; empty for none."
  type        = string
  default     = ""
  nullable    = false
}

variable "post_install_script" {
  description = "Script that runs after `install_script` and AgentAPI's installation; null for none."
  type        = string
  default     = null
}

variable "install_agentapi" {
  description = "Whether to install AgentAPI. When false, `agentapi` must be on PATH."
  type        = bool
  default     = true
  nullable    = false
}

variable "agentapi_version" {
  description = "Release of AgentAPI to install: `vX.Y.Z` or `latest`."
  type        = string
  default     = "v0.10.0"
  nullable    = false

  validation {
    condition     = can(regex("^[^\\s/]+$", var.agentapi_version))
    error_message = "The agentapi_version must be the name of a release without spaces or slashes, for example \"v0.11.8\" or \"latest\"."
  }
}

variable "agentapi_port" {
  description = "TCP port that AgentAPI listens on, 1 to 65535. Modules that share a workspace need different ports."
  type        = number
  default     = 3284
  nullable    = false

  validation {
    condition     = var.agentapi_port >= 1 && var.agentapi_port <= 65535 && floor(var.agentapi_port) == var.agentapi_port
    error_message = "The agentapi_port must be a whole number from 1 to 65535, for example 3284."
  }
}

variable "agentapi_subdomain" {
  description = "Whether the web app has a subdomain of its own. Without one, agentapi_version must be v0.3.3 or later."
  type        = bool
  default     = true
  nullable    = false
}

variable "task_id" {
  description = "Task that the log snapshot belongs to; null means the workspace's own task, if it is one, and an empty string none."
  type        = string
  default     = null

  validation {
    condition     = can(regex("^[^\\s/?#]*$", coalesce(var.task_id, "none")))
    error_message = "The task_id must have no spaces, slashes, `?` or `#`; it is usually a UUID, for example \"2f1c1a5e-7b0a-4f0e-9a53-0d8e6a1c2b3d\"."
  }
}

variable "task_log_snapshot" {
  description = "Whether to save the end of the conversation to Coder when a task's workspace stops, so that it can be read while the task is paused."
  type        = bool
  default     = true
  nullable    = false
}

variable "task_log_snapshot_max_messages" {
  description = "How many of the newest messages a log snapshot holds at most, 1 to 1000. Coder's limit of 64 KiB applies all the same."
  type        = number
  default     = 10
  nullable    = false

  validation {
    condition     = var.task_log_snapshot_max_messages >= 1 && var.task_log_snapshot_max_messages <= 1000 && floor(var.task_log_snapshot_max_messages) == var.task_log_snapshot_max_messages
    error_message = "The task_log_snapshot_max_messages must be a whole number from 1 to 1000, for example 30."
  }
}

variable "shutdown_timeout" {
  description = "Seconds that the shutdown script may take in total, 2 to 600. Keep it below the time the runtime grants: Docker kills a container after 10 s, Kubernetes after 30 s."
  type        = number
  default     = 8
  nullable    = false

  validation {
    condition     = var.shutdown_timeout >= 2 && var.shutdown_timeout <= 600
    error_message = "The shutdown_timeout must be a number of seconds from 2 to 600, for example 8."
  }
}

variable "enable_state_persistence" {
  description = "Whether AgentAPI saves its conversation when the workspace stops and loads it at the next start. Needs AgentAPI 0.12.0 or later."
  type        = bool
  default     = false
  nullable    = false
}

variable "state_file_path" {
  description = "Absolute path of AgentAPI's state file; empty means `agentapi-state.json` in the module's folder."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(/[^\n]*)?$", var.state_file_path))
    error_message = "The state_file_path must be an absolute path or empty, for example \"/home/coder/.claude-module/agentapi-state.json\"."
  }
}

variable "pid_file_path" {
  description = "Absolute path of AgentAPI's PID file; empty means `agentapi.pid` in the module's folder."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(/[^\n]*)?$", var.pid_file_path))
    error_message = "The pid_file_path must be an absolute path or empty, for example \"/home/coder/.claude-module/agentapi.pid\"."
  }
}

variable "enable_boundary" {
  description = "Whether to provide a wrapper that runs the agent inside a Coder Agent Boundary; start scripts find it in AGENTAPI_BOUNDARY_PREFIX."
  type        = bool
  default     = false
  nullable    = false
}

variable "boundary_config_path" {
  description = "Path of the boundary's configuration in the workspace, exported as BOUNDARY_CONFIG; empty leaves the variable unset."
  type        = string
  default     = ""
  nullable    = false
}

variable "boundary_version" {
  description = "Version of boundary for `use_boundary_directly` (a release or `latest`) and `compile_boundary_from_source` (a git reference)."
  type        = string
  default     = "latest"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_][^\\s]*$", var.boundary_version))
    error_message = "The boundary_version must be a release, `latest` or a git reference, for example \"v0.2.0\"."
  }
}

variable "compile_boundary_from_source" {
  description = "Whether to compile boundary in the workspace, with git and make, instead of using `coder boundary`."
  type        = bool
  default     = false
  nullable    = false
}

variable "use_boundary_directly" {
  description = "Whether to install a release of boundary instead of using `coder boundary`."
  type        = bool
  default     = false
  nullable    = false
}
