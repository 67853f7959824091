// AgentAPI as a plan of a random stop wants it: with a process of its own or as a server alone, fine or faulty.
import { writeFileSync } from "node:fs";
import { AgentApiProcess } from "./agentapi-process.ts";
import { startFakeAgentApi } from "./fake-agentapi.ts";
import type { Fault } from "./fake-exchange.ts";
import { DEAD_PORT } from "./free-port.ts";
import type { AgentApiPlan, StopPlan } from "./random-stop.ts";
import { type Home, MODULE_DIR_NAME } from "./shutdown.ts";

export interface StartedAgentApi extends AsyncDisposable {
  readonly port: number;
  readonly process: AgentApiProcess | null;
}

export async function startAgentApi(
  plan: StopPlan,
  history: unknown[],
  home: Home,
): Promise<StartedAgentApi> {
  const stateFile = home.path(MODULE_DIR_NAME, "agentapi-state.json");
  const { process } = plan.agentApi;
  if (process !== null) {
    const flags = [
      "--term-delay-ms",
      String(process.termDelayMs),
      ...(process.ignoresTerm ? ["--ignore-term"] : []),
    ];
    const agentApi = await AgentApiProcess.start({
      pidFile: home.path(MODULE_DIR_NAME, "agentapi.pid"),
      ...(plan.stateFile && { stateFile }),
      messages: history,
      http: optionsOf(plan.agentApi),
      // Listens, but not where it is asked.
      flags: plan.agentApi.http.kind === "refuse" ? [...flags, "--hostname", "127.0.0.2"] : flags,
    });
    return Object.assign(agentApi, { process: agentApi });
  }
  if (plan.stateFile) writeFileSync(stateFile, stateOf(history));
  if (plan.agentApi.http.kind === "refuse") {
    return { port: DEAD_PORT, process: null, [Symbol.asyncDispose]: async () => undefined };
  }
  return Object.assign(await startFakeAgentApi({ messages: history, ...optionsOf(plan.agentApi) }), {
    process: null,
  });
}

function optionsOf({ http }: AgentApiPlan): { readonly raw?: string; readonly fault?: Fault } {
  if (http.kind === "garbage") return { raw: http.raw };
  return isFault(http) ? { fault: http } : {};
}

function isFault(http: AgentApiPlan["http"]): http is Fault {
  return http.kind !== "fine" && http.kind !== "refuse" && http.kind !== "garbage";
}

function stateOf(history: readonly unknown[]): string {
  const messages = history.map((message) => {
    const { content, ...others } = message as { content?: unknown };
    return { ...others, message: content };
  });
  return JSON.stringify({ version: 1, messages, initial_prompt: "", initial_prompt_sent: true });
}
