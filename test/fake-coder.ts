// A Coder server with the one endpoint that takes a task's log snapshot, as strict as the real one and as faulty as asked.
import { randomUUID } from "node:crypto";
import { decodeSnapshot, type StoredMessage } from "./fake-coder-decode.ts";
import { json, parseUuid, refuseQuery, refuseToken, undecodable, unescapePath } from "./fake-coder-checks.ts";
import { GoJsonError } from "./fake-go-json.ts";
import type { Answer, SeenRequest } from "./fake-exchange.ts";
import { FakeServer, type ServerOptions } from "./fake-http.ts";

export interface FakeCoderOptions extends ServerOptions {
  /** The agent's token; a random uuid if not given. */
  readonly token?: string;
  /** Ids of the tasks that exist and belong to this agent's workspace; one random uuid if not given. */
  readonly tasks?: readonly string[];
  /** As of a server behind a path: "/coder". */
  readonly pathPrefix?: string;
  /** false: a server from before the endpoint. */
  readonly supportsSnapshots?: boolean;
}

export interface StoredSnapshot {
  /** Length of the posted body; the body itself is in `requests`. */
  readonly bytes: number;
  readonly messages: readonly StoredMessage[];
}

/** What a user sees instead of the task's log. */
export class SnapshotReadError extends Error {
  readonly status = 500;
}

const maxBodyBytes = 64 * 1024; // coderd: taskSnapshotMaxSize, http.MaxBytesReader
const agentRoutes = "/api/v2/workspaceagents/me/";
const snapshotRoute = /^\/api\/v2\/workspaceagents\/me\/tasks\/([^/]+)\/log-snapshot$/;

export async function startFakeCoder(options: FakeCoderOptions = {}): Promise<FakeCoder> {
  const coder = new FakeCoder(options);
  await coder.listen();
  return coder;
}

export class FakeCoder implements AsyncDisposable {
  readonly token: string;
  /** The first of the tasks. */
  readonly taskId: string;
  /** By task id in its usual form; the last one posted. */
  readonly snapshots = new Map<string, StoredSnapshot>();
  private readonly tasks: ReadonlySet<string>;
  private server!: FakeServer;

  constructor(private readonly options: FakeCoderOptions) {
    const tasks = options.tasks ?? [randomUUID()];
    this.token = options.token ?? randomUUID();
    this.taskId = tasks[0] ?? randomUUID();
    this.tasks = new Set(tasks.map((id) => parseUuid(id) ?? id));
  }

  /** Called by startFakeCoder. */
  async listen(): Promise<void> {
    this.server = await FakeServer.start(this.options, (request) => this.answer(request));
  }

  get port(): number {
    return this.server.port;
  }

  /** Ends with a slash, as the coder provider renders CODER_AGENT_URL. */
  get url(): string {
    const scheme = this.options.tls ? "https" : "http";
    return `${scheme}://${this.options.hostname ?? "127.0.0.1"}:${this.port}${this.options.pathPrefix ?? ""}/`;
  }

  get requests(): readonly SeenRequest[] {
    return this.server.requests;
  }

  requestsSeen(count: number): Promise<void> {
    return this.server.requestsSeen(count);
  }

  /** What a user sees of the paused task; throws SnapshotReadError where Coder's reader fails. */
  readSnapshot(taskId = this.taskId): readonly StoredMessage[] {
    const messages = this.snapshots.get(parseUuid(taskId) ?? taskId)?.messages ?? [];
    for (const { role } of messages) {
      if (role === "user" || role === "agent") continue;
      throw new SnapshotReadError(
        `Invalid snapshot data. invalid agentapi message role ${JSON.stringify(role)}`,
      );
    }
    return messages;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
  }

  private answer(request: SeenRequest): Answer {
    const prefix = this.options.pathPrefix ?? "";
    const path = request.path.startsWith(prefix) ? request.path.slice(prefix.length) : "";
    if (path.startsWith(agentRoutes)) {
      // The middleware of these routes, so that the token comes before everything else.
      const refusal = refuseToken(request.headers["coder-session-token"], this.token);
      if (refusal) return refusal;
    }
    const task = this.options.supportsSnapshots === false ? undefined : snapshotRoute.exec(path)?.[1];
    if (task === undefined) return json(404, { message: "Route not found." });
    if (request.method !== "POST") return { status: 405, headers: { Allow: "POST" } };
    return this.postSnapshot(task, request);
  }

  private postSnapshot(task: string, { query, body }: SeenRequest): Answer {
    const taskId = parseUuid(unescapePath(task));
    if (taskId === null)
      return json(400, { message: "Invalid task ID format.", detail: "invalid UUID format" });
    const refusal = refuseQuery(query);
    if (refusal) return refusal;
    if (!this.tasks.has(taskId)) {
      return json(404, { message: "Resource not found or you do not have access to this resource" });
    }
    // json.Decoder stops at the end of the value, so that the real server forgives spaces beyond the limit; do not count on it.
    if (body.length > maxBodyBytes) return undecodable("http: request body too large");
    let messages: StoredMessage[] | null;
    try {
      messages = decodeSnapshot(body);
    } catch (error) {
      if (error instanceof GoJsonError) return undecodable(error.message);
      throw error;
    }
    if (messages === null) {
      const detail = 'Missing required "messages" field.';
      return json(400, { message: "Invalid agentapi payload structure.", detail });
    }
    // PostgreSQL's jsonb has no U+0000.
    if (messages.some(({ content, role }) => `${content}${role}`.includes("\0"))) {
      const detail = "pq: unsupported Unicode escape sequence";
      return json(500, { message: "Internal error storing snapshot.", detail });
    }
    this.snapshots.set(taskId, { bytes: body.length, messages });
    return { status: 204 };
  }
}
