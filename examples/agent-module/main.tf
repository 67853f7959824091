# A module as its author would write it: an agent with an install script and a start script, run behind AgentAPI.

terraform {
  required_version = ">= 1.2"

  required_providers {
    coder = {
      source  = "coder/coder"
      version = ">= 2.13"
    }
  }
}

variable "agent_id" {
  description = "ID of the Coder agent."
  type        = string
}

variable "api_key" {
  description = "Key of the agent's model provider."
  type        = string
  default     = ""
  sensitive   = true
}

variable "folder" {
  description = "Folder that the agent works in."
  type        = string
  default     = "/home/coder/project"
}

variable "install_agentapi" {
  description = "Whether to install AgentAPI."
  type        = bool
  default     = true
}

variable "agentapi_port" {
  description = "Port of AgentAPI, for workspaces that run more than one agent."
  type        = number
  default     = 3284
}

# Secrets travel as environment variables, not inside scripts.
resource "coder_env" "api_key" {
  count = var.api_key == "" ? 0 : 1

  agent_id = var.agent_id
  name     = "ECHO_AGENT_API_KEY"
  value    = var.api_key
}

module "agentapi" {
  source = "../.."

  agent_id             = var.agent_id
  module_dir_name      = ".echo-agent-module"
  folder               = var.folder
  web_app_slug         = "echo-agent"
  web_app_display_name = "Echo Agent"
  web_app_icon         = "/icon/terminal.svg"
  cli_app              = true
  cli_app_slug         = "echo-agent-cli"
  cli_app_display_name = "Echo Agent CLI"
  cli_app_icon         = "/icon/terminal.svg"
  install_agentapi     = var.install_agentapi
  agentapi_version     = "v0.11.8"
  agentapi_port        = var.agentapi_port
  install_script       = file("${path.module}/scripts/install.sh")
  start_script         = file("${path.module}/scripts/start.sh")
}

output "task_app_id" {
  description = "ID of the web app, for a coder_ai_task."
  value       = module.agentapi.task_app_id
}
