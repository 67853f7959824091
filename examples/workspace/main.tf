# A plain workspace, no task: the agent's chat is an app, and nothing is saved to Coder at the stop. AgentAPI keeps the
# conversation itself, so that it is there again after a restart.

terraform {
  required_providers {
    coder = {
      source  = "coder/coder"
      version = ">= 2.13"
    }
  }
}

resource "coder_agent" "main" {
  os   = "linux"
  arch = "amd64"
}

module "agentapi" {
  source = "../.."

  agent_id                 = coder_agent.main.id
  module_dir_name          = ".goose-module"
  web_app_slug             = "goose"
  web_app_display_name     = "Goose"
  web_app_icon             = "/icon/goose.svg"
  cli_app_slug             = "goose-cli"
  cli_app_display_name     = "Goose CLI"
  agentapi_version         = "v0.12.0"
  enable_state_persistence = true

  start_script = <<-EOT
    #!/bin/sh
    exec agentapi server --port "$2" -- goose
  EOT
}
