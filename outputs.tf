output "task_app_id" {
  description = "ID of the web app, for the `app_id` of a `coder_ai_task`; empty when there is no web app."
  value       = try(coder_app.agentapi_web[0].id, "")
}

output "task_id" {
  description = "Task that log snapshots are saved for; empty outside a task."
  value       = local.task_id
}

output "shutdown_script" {
  description = "Rendered shutdown script, for use beside the stop of the workspace, such as a Kubernetes preStop hook. It needs CODER_AGENT_URL and CODER_AGENT_TOKEN."
  value       = local.shutdown_script
}
