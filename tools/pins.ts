// The versions that set-up works with, each read from the one file that pins it, or pinned here.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { repositoryDir } from "./inventory.ts";
import { SetupError } from "./run.ts";

/** The first with preconditions, which the module uses. */
export const oldestTerraform = "1.2";
/** The last one under the MPL, and the oldest that users are likely to have. */
export const terraformVersion = "1.5.7";
export const openTofuVersion = pinnedBy("tools/opentofu/go.mod", /opentofu\/opentofu v(\S+)/);
export const agentapiVersion = pinnedBy("tools/agentapi/go.mod", /coder\/agentapi v(\S+)/);
export const newestCoderProvider = "2.20.0";
/** The oldest that the module allows. */
export const oldestCoderProvider = "2.13.1";
/** The one that the classes of @cdktf/provider-null were generated from. */
export const nullProviderVersion = pinnedBy(
  "node_modules/@cdktf/provider-null/lib/provider/index.js",
  /providerVersion: '([^']+)'/,
);
/** The last release of the oldest line that the shutdown script supports. */
export const oldNodeVersion = "18.20.8";
/** The `go` directive of OpenTofu, the most demanding of what is built. */
export const goVersion = "1.26";

function pinnedBy(file: string, pattern: RegExp): string {
  const version = pattern.exec(readFileSync(join(repositoryDir, file), "utf8"))?.[1];
  if (version === undefined) {
    throw new SetupError(`${file} has no version that matches ${pattern}`);
  }
  return version;
}
