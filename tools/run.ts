// Runs a command without showing its output, unless it fails.

/** A fault that the person at the keyboard can mend; its message is all they need to see. */
export class SetupError extends Error {}

export interface RunOptions {
  cwd: string;
  /** On top of our own; undefined takes a variable out. */
  env?: Record<string, string | undefined>;
  timeoutMs?: number;
}

export interface RunResult {
  ok: boolean;
  stdout: string;
  /** Both streams, for people. */
  output: string;
}

export function run(command: [string, ...string[]], options: RunOptions): RunResult {
  const child = Bun.spawnSync(command, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdin: "ignore",
    ...(options.timeoutMs === undefined ? {} : { timeout: options.timeoutMs }),
  });
  const stdout = child.stdout.toString();
  const timedOut = child.exitedDueToTimeout ? `Stopped after ${(options.timeoutMs ?? 0) / 1000} s.` : "";
  return {
    ok: child.success,
    stdout,
    output: [stdout, child.stderr.toString(), timedOut].join("\n").trim(),
  };
}

export function mustRun(what: string, command: [string, ...string[]], options: RunOptions): void {
  const result = run(command, options);
  if (!result.ok) {
    const lastLines = result.output.split("\n").slice(-20);
    throw new SetupError(
      [`${what} failed. The end of what \`${command.join(" ")}\` said:`, ...lastLines].join("\n  "),
    );
  }
}

export function say(line: string): void {
  console.log(line);
}
