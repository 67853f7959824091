// One request and its answer as the fakes see them, and the faults that can come between.
import type { IncomingMessage } from "node:http";

export type Fault =
  /** Takes the request and never answers. */
  | { kind: "hang" }
  /** RST as soon as the head of the request has arrived. */
  | { kind: "reset" }
  /** RST when the whole request has arrived, as of a server that dies while it works on it. */
  | { kind: "reset-after-body" }
  /** A proxy in front: the fake itself never sees the request. */
  | { kind: "status"; status: number; headers?: Record<string, string>; body?: string }
  | { kind: "redirect"; location: string; status?: 301 | 302 | 303 | 307 | 308 }
  /** Right, but both bodies pass at this rate, the request's and the answer's. */
  | { kind: "drip"; bytesPerSecond: number }
  /** Right, but `ms` late. */
  | { kind: "slow-answer"; ms: number }
  /** Announces the whole answer, sends half of it and drops the connection. */
  | { kind: "die-mid-answer" };

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** Milliseconds since the fake started. */
  readonly atMs: number;
  /** What has arrived; complete once `status` is a number. */
  body: Uint8Array;
  /** "none" until an answer went out, and for ever where none did. */
  status: number | "none";
}

export interface Answer {
  readonly status: number;
  readonly headers?: Record<string, string>;
  /** An iterable is made and sent piece by piece, as fast as the client reads. */
  readonly body?: string | Uint8Array | Iterable<string>;
}

export function describe(req: IncomingMessage, atMs: number): SeenRequest {
  // An absolute target comes from a client that takes this server for its proxy.
  const target = (req.url ?? "/").replace(/^https?:\/\/[^/?]*/i, "");
  const [path = "/", ...query] = target.split("?");
  const headers = Object.entries(req.headers).map(([name, value]) => [name, String(value)]);
  return {
    method: req.method ?? "GET",
    path,
    query: new URLSearchParams(query.join("?")),
    headers: Object.fromEntries(headers) as Record<string, string>,
    atMs,
    body: new Uint8Array(),
    status: "none",
  };
}
