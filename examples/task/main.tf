# A template for tasks: each task is a workspace with an agent, whose conversation is readable while it is paused.
# A real template adds the compute, such as a docker_container that runs the agent's init_script.

terraform {
  required_providers {
    coder = {
      source  = "coder/coder"
      version = ">= 2.13"
    }
  }
}

variable "install_agentapi" {
  description = "Whether to install AgentAPI; false when the image has it."
  type        = bool
  default     = true
}

variable "folder" {
  description = "Folder that the agent works in."
  type        = string
  default     = "/home/coder/project"
}

variable "agentapi_port" {
  description = "Port of AgentAPI."
  type        = number
  default     = 3284
}

data "coder_task" "me" {}

resource "coder_agent" "main" {
  os   = "linux"
  arch = "amd64"
}

module "echo_agent" {
  source = "../agent-module"

  agent_id         = coder_agent.main.id
  folder           = var.folder
  install_agentapi = var.install_agentapi
  agentapi_port    = var.agentapi_port
}

resource "coder_ai_task" "task" {
  count = data.coder_task.me.enabled ? 1 : 0

  app_id = module.echo_agent.task_app_id
}
