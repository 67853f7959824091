// Runs a rendered script exactly as the Coder agent does: one argument of the shell that its shebang names.
import { spawn } from "node:child_process";

export interface ScriptRun {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** From the start until the process ended, ms. */
  readonly ms: number;
  /** A background child kept stdout or stderr open: the agent would wait and complain. */
  readonly heldPipes: boolean;
}

export interface ScriptOptions {
  /** The whole environment; nothing of the test's own is added. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** In place of the shell that the shebang names, e.g. ["/bin/busybox", "sh"]. */
  readonly shell?: readonly string[];
}

/** The agent waits this long for pipes after the process has ended (os/exec's WaitDelay in agentscripts), ms. */
const HELD_PIPES_MS = 1000;

export async function runScript(script: string, options: ScriptOptions): Promise<ScriptRun> {
  const [command, ...args] = options.shell ?? shebangOf(script);
  const startMs = performance.now();
  const child = spawn(command!, [...args, "-c", script], {
    env: { ...options.env },
    cwd: options.cwd,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output.stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (output.stderr += text));
  const closed = new Promise<void>((resolve) => child.on("close", () => resolve()));
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", resolve);
  });
  const ms = performance.now() - startMs;

  const heldPipes = await Promise.race([closed.then(() => false), Bun.sleep(HELD_PIPES_MS).then(() => true)]);
  child.stdout.destroy();
  child.stderr.destroy();
  return { exitCode, ...output, ms, heldPipes };
}

function shebangOf(script: string): string[] {
  const line = /^#!(.+)/.exec(script)?.[1];
  if (line === undefined)
    throw new Error("the script has no shebang, so the agent would use the user's own shell");
  return line.trim().split(/\s+/);
}
