// AgentAPI's HTTP side for tests that need no signals: what it says to GET /messages and GET /status, or garbage if asked.
import type { Answer, SeenRequest } from "./fake-exchange.ts";
import { FakeServer, type ServerOptions } from "./fake-http.ts";

export interface FakeAgentApiOptions extends ServerOptions {
  /**
   * Served as they are, whatever they are. Anything but an array is read anew for each request and sent piece by
   * piece, so that a history may be longer than the memory.
   */
  readonly messages?: Iterable<unknown> | null;
  /** The whole body of GET /messages instead. */
  readonly raw?: string | Uint8Array;
  readonly status?: "stable" | "running";
  /** Names without ports; "*" lets every Host pass. */
  readonly allowedHosts?: readonly string[];
}

export interface FakeAgentApi extends AsyncDisposable {
  readonly port: number;
  readonly requests: readonly SeenRequest[];
  /** Resolves once `count` requests have begun to arrive. */
  requestsSeen(count: number): Promise<void>;
}

const defaultHosts = ["localhost", "127.0.0.1", "::1"];

export function startFakeAgentApi(options: FakeAgentApiOptions = {}): Promise<FakeAgentApi> {
  return FakeServer.start(options, (request) => answer(request, options));
}

/** A history of any length that takes no memory; message 0 is the user's, and so on by turns. */
export function longHistory(count: number, contentChars: number): Iterable<unknown> {
  const content = "All work and no play. ".repeat(contentChars / 22 + 1).slice(0, contentChars);
  return {
    *[Symbol.iterator]() {
      for (let id = 0; id < count; id += 1) {
        yield {
          id,
          content,
          role: id % 2 === 0 ? "user" : "agent",
          time: "2026-01-30T09:31:04.123456789+02:00",
        };
      }
    },
  };
}

function answer(request: SeenRequest, options: FakeAgentApiOptions): Answer {
  const host = request.headers["host"] ?? "";
  const allowedHosts = options.allowedHosts ?? defaultHosts;
  if (!allowedHosts.includes("*") && !allowedHosts.includes(hostName(host))) {
    return plainText(400, `Invalid host header. Allowed hosts: ${allowedHosts.join(", ")}`);
  }
  const reply = route(request, host, options);
  return { ...reply, headers: { ...reply.headers, Vary: "Origin" } };
}

function route({ method, path }: SeenRequest, host: string, options: FakeAgentApiOptions): Answer {
  if (path === "/") return redirect("/chat/embed");
  if (path !== "/messages" && path !== "/status") return plainText(404, "404 page not found");
  if (method !== "GET") return { status: 405, headers: { Allow: "GET" } };

  if (path === "/status") {
    const body = {
      $schema: schema(host, "Status"),
      status: options.status ?? "stable",
      agent_type: "custom",
    };
    return json("Status", `${JSON.stringify(body)}\n`);
  }
  return json("Messages", options.raw ?? messagesBody(schema(host, "Messages"), options.messages));
}

function messagesBody($schema: string, messages: Iterable<unknown> | null = []): string | Iterable<string> {
  if (messages === null || Array.isArray(messages)) return `${goJson({ $schema, messages })}\n`;
  return piecewise($schema, messages);
}

function* piecewise($schema: string, messages: Iterable<unknown>): Iterable<string> {
  yield `{"$schema":${goJson($schema)},"messages":[`;
  let separator = "";
  for (const message of messages) {
    yield separator + goJson(message);
    separator = ",";
  }
  yield "]}\n";
}

/** Go escapes the two line separators, and nothing else that JSON.stringify leaves alone. */
function goJson(value: unknown): string {
  return JSON.stringify(value).replace(/[\u2028\u2029]/g, (char) => `\\u${char.charCodeAt(0).toString(16)}`);
}

function hostName(host: string): string {
  return (/^\[(.*)\](?::\d*)?$/.exec(host)?.[1] ?? host.replace(/:\d*$/, "")).toLowerCase();
}

function schema(host: string, name: string): string {
  // So the library under AgentAPI guesses the scheme.
  const scheme = /^(localhost|127\.0\.0\.1)/.test(host) ? "http" : "https";
  return `${scheme}://${host}/schemas/${name}ResponseBody.json`;
}

function json(name: string, body: string | Uint8Array | Iterable<string>): Answer {
  const link = `</schemas/${name}ResponseBody.json>; rel="describedBy"`;
  return { status: 200, headers: { "Content-Type": "application/json", Link: link }, body };
}

function redirect(to: string): Answer {
  const headers = { "Content-Type": "text/html; charset=utf-8", Location: to };
  return { status: 307, headers, body: `<a href="${to}">Temporary Redirect</a>.\n\n` };
}

function plainText(status: number, text: string): Answer {
  const headers = { "Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff" };
  return { status, headers, body: `${text}\n` };
}
