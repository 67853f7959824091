// The environment for set-up's own Terraform calls.
import { existsSync } from "node:fs";

/** The user's settings stay, since they may be what reaches a registry; out goes what would break or slow a call. */
export function terraformEnv(): Record<string, string | undefined> {
  const configFile = process.env.TF_CLI_CONFIG_FILE ?? "";
  return {
    CHECKPOINT_DISABLE: "1",
    TF_DATA_DIR: undefined,
    TF_WORKSPACE: undefined,
    TF_CLI_ARGS: undefined,
    TF_CLI_ARGS_init: undefined,
    // Set to a file that is missing, it makes every command complain.
    TF_CLI_CONFIG_FILE: existsSync(configFile) ? configFile : undefined,
  };
}
