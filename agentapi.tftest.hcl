# Plan-time rules of the module, with a mocked provider: terraform test (>= 1.7) or tofu test.

mock_provider "coder" {
  mock_data "coder_task" {
    defaults = {
      enabled = false
      id      = "11111111-1111-4111-8111-111111111111"
    }
  }
  mock_data "coder_workspace" {
    defaults = { name = "dev" }
  }
  mock_data "coder_workspace_owner" {
    defaults = { name = "alice" }
  }
}

variables {
  agent_id             = "agent"
  web_app_icon         = "/icon/test.svg"
  web_app_display_name = "Test"
  web_app_slug         = "test"
  cli_app_display_name = "Test CLI"
  cli_app_slug         = "test-cli"
  start_script         = "echo test"
  module_dir_name      = ".test-module"
}

run "a_plain_workspace_has_no_task" {
  assert {
    condition     = output.task_id == "" && strcontains(output.shutdown_script, "export ARG_TASK_ID=''")
    error_message = "The random id of a data source outside a task must not be used."
  }
  assert {
    condition     = length(coder_app.agentapi_web) == 1 && length(coder_app.agentapi_cli) == 0
    error_message = "By default there is a web app and no CLI app."
  }
  assert {
    condition     = output.shutdown_script == coder_script.agentapi_shutdown.script
    error_message = "The output is the script that Coder runs."
  }
}

run "defaults_reach_the_scripts" {
  assert {
    condition = alltrue([for line in [
      "ARG_AGENTAPI_PORT='3284'",
      "ARG_ENABLE_STATE_PERSISTENCE='false'",
      "ARG_MODULE_DIR_NAME='.test-module'",
      "ARG_PID_FILE_PATH=''",
      "ARG_TASK_LOG_SNAPSHOT='true'",
    ] : strcontains(coder_script.agentapi.script, line) && strcontains(coder_script.agentapi_shutdown.script, line)])
    error_message = "Consumers look for these assignments in both scripts."
  }
  assert {
    condition     = strcontains(coder_script.agentapi.script, "ARG_AGENTAPI_VERSION='v0.10.0'")
    error_message = "The default version of AgentAPI is v0.10.0."
  }
  assert {
    condition = alltrue([for line in [
      "export ARG_SHUTDOWN_TIMEOUT='8'",
      "export ARG_TASK_LOG_SNAPSHOT_MAX_MESSAGES='10'",
    ] : strcontains(coder_script.agentapi_shutdown.script, line)])
    error_message = "The shutdown script gets its limits."
  }
}

run "scripts_run_at_the_right_time" {
  assert {
    condition     = coder_script.agentapi.run_on_start == true && coder_script.agentapi_shutdown.run_on_stop == true
    error_message = "One script runs on start, the other on stop."
  }
  assert {
    condition     = startswith(coder_script.agentapi.script, "#!/bin/sh\n") && startswith(coder_script.agentapi_shutdown.script, "#!/bin/sh\n")
    error_message = "The shebang must name a shell: the agent calls it with -c."
  }
}

run "a_task_gets_its_id_and_the_web_app" {
  variables {
    web_app = false
  }
  override_data {
    target = data.coder_task.me
    values = {
      enabled = true
      id      = "22222222-2222-4222-8222-222222222222"
    }
  }
  assert {
    condition     = output.task_id == "22222222-2222-4222-8222-222222222222"
    error_message = "A task's own id is the default."
  }
  assert {
    condition     = length(coder_app.agentapi_web) == 1
    error_message = "Coder shows a task through the web app, so it can't be off."
  }
}

run "task_id_wins_over_the_workspace" {
  variables {
    task_id = "33333333-3333-4333-8333-333333333333"
  }
  assert {
    condition     = output.task_id == "33333333-3333-4333-8333-333333333333"
    error_message = "A given task_id wins."
  }
}

run "an_empty_task_id_means_never" {
  variables {
    task_id = ""
  }
  override_data {
    target = data.coder_task.me
    values = {
      enabled = true
      id      = "22222222-2222-4222-8222-222222222222"
    }
  }
  assert {
    condition     = output.task_id == ""
    error_message = "An empty task_id turns snapshots off, also in a task."
  }
}

run "without_the_web_app_its_id_is_empty" {
  variables {
    web_app = false
  }
  assert {
    condition     = output.task_app_id == "" && length(coder_app.agentapi_web) == 0
    error_message = "No web app, no id."
  }
}

run "apps_point_to_the_port" {
  variables {
    agentapi_port = 4000
    cli_app       = true
  }
  assert {
    condition     = coder_app.agentapi_web[0].url == "http://localhost:4000/" && one(coder_app.agentapi_web[0].healthcheck).url == "http://localhost:4000/status"
    error_message = "The web app and its health check use the port."
  }
  assert {
    condition     = strcontains(coder_app.agentapi_cli[0].command, "agentapi attach") && strcontains(coder_app.agentapi_cli[0].command, "localhost:4000") && strcontains(coder_app.agentapi_cli[0].command, "LC_ALL=en_US.UTF-8")
    error_message = "The CLI app attaches to the port under a UTF-8 locale."
  }
}

run "a_base_path_without_a_subdomain" {
  variables {
    agentapi_subdomain = false
  }
  assert {
    condition     = strcontains(coder_script.agentapi.script, "ARG_AGENTAPI_CHAT_BASE_PATH='/@alice/dev.agent/apps/test/chat'")
    error_message = "Without a subdomain the chat lives below the app's path."
  }
}

run "no_subdomain_needs_agentapi_0_3_3" {
  command = plan
  variables {
    agentapi_subdomain = false
    agentapi_version   = "v0.3.2"
  }
  expect_failures = [coder_script.agentapi]
}

run "no_subdomain_with_0_3_10" {
  command = plan
  variables {
    agentapi_subdomain = false
    agentapi_version   = "v0.3.10"
  }
}

run "no_subdomain_with_a_version_that_is_no_number" {
  command = plan
  variables {
    agentapi_subdomain = false
    agentapi_version   = "nightly"
  }
}

run "a_trailing_slash_of_the_folder_is_trimmed" {
  variables {
    folder = "/home/coder/project/"
  }
  assert {
    condition     = strcontains(coder_script.agentapi.script, "ARG_WORKDIR='/home/coder/project'")
    error_message = "The trailing slash goes."
  }
}

run "the_root_folder_stays_the_root_folder" {
  variables {
    folder = "/"
  }
  assert {
    condition     = strcontains(coder_script.agentapi.script, "ARG_WORKDIR='/'")
    error_message = "Trimming must not leave an empty path."
  }
}

run "boundary_config_becomes_an_environment_variable" {
  variables {
    enable_boundary      = true
    boundary_config_path = "/etc/boundary.yaml"
  }
  assert {
    condition     = coder_env.boundary_config[0].name == "BOUNDARY_CONFIG" && coder_env.boundary_config[0].value == "/etc/boundary.yaml"
    error_message = "The path is exported as BOUNDARY_CONFIG."
  }
}

run "no_boundary_config_while_boundary_is_off" {
  variables {
    boundary_config_path = "/etc/boundary.yaml"
  }
  assert {
    condition     = length(coder_env.boundary_config) == 0
    error_message = "BOUNDARY_CONFIG belongs to boundary."
  }
}

run "null_means_the_default" {
  variables {
    install_script   = null
    shutdown_timeout = null
    folder           = null
  }
  assert {
    condition     = strcontains(coder_script.agentapi.script, "ARG_INSTALL_SCRIPT=''") && strcontains(coder_script.agentapi.script, "ARG_WORKDIR='/home/coder'")
    error_message = "Consumers pass null through."
  }
}

run "scripts_beyond_the_limit_of_one_argument" {
  command = plan
  variables {
    install_script = join("", [for i in range(140) : format("%01000d", i)])
  }
  expect_failures = [coder_script.agentapi]
}

run "bad_port" {
  command = plan
  variables {
    agentapi_port = 70000
  }
  expect_failures = [var.agentapi_port]
}

run "bad_port_fraction" {
  command = plan
  variables {
    agentapi_port = 3284.5
  }
  expect_failures = [var.agentapi_port]
}

run "bad_slugs" {
  command = plan
  variables {
    web_app_slug = "Test App"
    cli_app_slug = "-cli"
  }
  expect_failures = [var.web_app_slug, var.cli_app_slug]
}

run "bad_names" {
  command = plan
  variables {
    web_app_display_name = "A name of more than sixty-four characters, which Coder does not store"
    cli_app_display_name = "A name of more than sixty-four characters, which Coder does not store"
  }
  expect_failures = [var.web_app_display_name, var.cli_app_display_name]
}

run "bad_module_dir" {
  command = plan
  variables {
    module_dir_name = "/root/.module"
  }
  expect_failures = [var.module_dir_name]
}

run "module_dir_outside_home" {
  command = plan
  variables {
    module_dir_name = "../other"
  }
  expect_failures = [var.module_dir_name]
}

run "bad_paths" {
  command = plan
  variables {
    state_file_path = "state.json"
    pid_file_path   = "~/agentapi.pid"
    folder          = ""
  }
  expect_failures = [var.state_file_path, var.pid_file_path, var.folder]
}

run "bad_limits" {
  command = plan
  variables {
    shutdown_timeout               = 1
    task_log_snapshot_max_messages = 0
  }
  expect_failures = [var.shutdown_timeout, var.task_log_snapshot_max_messages]
}

run "bad_limits_above" {
  command = plan
  variables {
    shutdown_timeout               = 601
    task_log_snapshot_max_messages = 10.5
  }
  expect_failures = [var.shutdown_timeout, var.task_log_snapshot_max_messages]
}

run "bad_task_id" {
  command = plan
  variables {
    task_id = "a/b"
  }
  expect_failures = [var.task_id]
}

run "empty_start_script" {
  command = plan
  variables {
    start_script = " "
  }
  expect_failures = [var.start_script]
}

run "bad_versions" {
  command = plan
  variables {
    agentapi_version = "v0.10.0/../v1"
    boundary_version = "--help"
  }
  expect_failures = [var.agentapi_version, var.boundary_version]
}
