// Prepares what the tests and the demo need in .cache/; says what it picked, and stays quiet when nothing changed.
//   --all   also the Terraform, OpenTofu and provider versions that CI tests with (CI=true does the same)
import { mkdirSync } from "node:fs";
import { ensureAgentapi } from "./agentapi.ts";
import { writeWhole } from "./artefact.ts";
import { cacheDir, findTools, format, toolsFile, type Tools } from "./inventory.ts";
import { agentapiVersion, newestCoderProvider, nullProviderVersion, oldestCoderProvider } from "./pins.ts";
import { ensureOldNode } from "./old-node.ts";
import { coderProvider, nullProvider } from "./provider.ts";
import { cliConfigFile, fillMirror } from "./providers.ts";
import { say, SetupError } from "./run.ts";
import { pickTerraforms } from "./terraforms.ts";

async function setUp(args: readonly string[]): Promise<void> {
  const unknown = args.find((arg) => arg !== "--all");
  if (unknown !== undefined) {
    throw new SetupError(`Unknown argument ${unknown}. The only one is --all.`);
  }
  const earlier = findTools();
  const all = args.includes("--all") || process.env.CI === "true" || earlier?.all === true;
  const coderProviders: Tools["coderProviders"] = all
    ? [newestCoderProvider, oldestCoderProvider]
    : [newestCoderProvider];

  mkdirSync(cacheDir, { recursive: true });
  const terraforms = await pickTerraforms(all);
  const agentapi = await ensureAgentapi();
  const oldNode = all ? await ensureOldNode() : null;
  const providerOrigins = await fillMirror(
    terraforms,
    [nullProvider(nullProviderVersion), ...coderProviders.map(coderProvider)],
    earlier?.providerOrigins ?? [],
  );
  const tools: Tools = {
    format,
    all,
    terraforms,
    cliConfig: cliConfigFile,
    agentapi,
    agentapiVersion,
    oldNode,
    coderProviders,
    nullProvider: nullProviderVersion,
    providerOrigins,
  };
  writeWhole(toolsFile, `${JSON.stringify(tools, null, 2)}\n`);
  const known = new Set(earlier === undefined ? [] : describe(earlier));
  describe(tools)
    .filter((line) => !known.has(line))
    .forEach(say);
}

/** One line for every pick. */
function describe(tools: Tools): string[] {
  const { terraforms, coderProviders, providerOrigins } = tools;
  const origins = {
    PATH: "found on PATH",
    built: "built with Go",
    registry: "downloaded",
  };
  return [
    ...terraforms.map(({ name, path, origin }, index) => {
      const role = index === 0 ? "the default" : "--all or CI asks for it";
      return `${name}: ${path}, ${origins[origin]}, ${role}`;
    }),
    `AgentAPI ${tools.agentapiVersion}: ${tools.agentapi}`,
    ...providerOrigins.map(
      ({ kind, from }) =>
        `Providers for ${kind}: coder/coder ${coderProviders.join(" and ")}, hashicorp/null ${tools.nullProvider}, ${origins[from]}`,
    ),
  ];
}

try {
  await setUp(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof SetupError)) {
    throw error;
  }
  console.error(`Set-up stopped. ${error.message}`);
  process.exitCode = 1;
}
