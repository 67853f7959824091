// Starts fake-agentapi-process.ts, so that a test can watch which signals reach it and when it is gone.
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FakeAgentApiOptions } from "./fake-agentapi.ts";

export interface AgentApiProcessOptions {
  readonly pidFile?: string;
  readonly stateFile?: string;
  readonly messages?: readonly unknown[];
  /** Faults of its HTTP side, and the like. */
  readonly http?: Pick<FakeAgentApiOptions, "fault" | "faults" | "raw">;
  /** Further options of the program, e.g. "--ignore-term". */
  readonly flags?: readonly string[];
}

export class AgentApiProcess implements AsyncDisposable {
  private constructor(
    private readonly child: ChildProcess,
    private readonly dir: string,
    readonly port: number,
    readonly pid: number,
  ) {}

  static async start(options: AgentApiProcessOptions = {}): Promise<AgentApiProcess> {
    const dir = mkdtempSync(join(tmpdir(), "agentapi-"));
    writeFileSync(join(dir, "messages.json"), JSON.stringify(options.messages ?? []));
    const program = join(import.meta.dir, "fake-agentapi-process.ts");
    const files = ["--messages", join(dir, "messages.json"), "--signals", join(dir, "signals")];
    const http = ["--http", JSON.stringify(options.http ?? {})];
    const child = spawn(process.execPath, [program, ...files, ...http, ...(options.flags ?? [])], {
      env: {
        ...process.env,
        AGENTAPI_PID_FILE: options.pidFile ?? "",
        AGENTAPI_SAVE_STATE: String(options.stateFile !== undefined),
        AGENTAPI_STATE_FILE: options.stateFile ?? "",
      },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const line = await new Promise<string>((resolve, reject) => {
      child.stdout!.once("data", (chunk: Buffer) => resolve(String(chunk)));
      child.once("exit", (code) => reject(new Error(`the fake AgentAPI ended with status ${code}`)));
    });
    const { port, pid } = JSON.parse(line) as { port: number; pid: number };
    return new AgentApiProcess(child, dir, port, pid);
  }

  /** Names of the signals received, in order. */
  signals(): string[] {
    const file = join(this.dir, "signals");
    if (!existsSync(file)) return [];
    return readFileSync(file, "utf8")
      .trim()
      .split("\n")
      .map((line) => line.split(" ")[1]!);
  }

  isRunning(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Resolves when the process has ended, with the signal that killed it, if one did. */
  async ended(): Promise<NodeJS.Signals | null> {
    if (this.isRunning()) await new Promise((resolve) => this.child.once("exit", resolve));
    return this.child.signalCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill("SIGKILL");
    await this.ended();
    rmSync(this.dir, { recursive: true, force: true });
  }
}
