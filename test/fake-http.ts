// The HTTP server under both fakes: it records every request, plays the faults, then lets the fake answer.
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { type Answer, describe, type Fault, type SeenRequest } from "./fake-exchange.ts";

export interface ServerOptions {
  readonly hostname?: string;
  readonly port?: number;
  readonly tls?: { readonly key: string; readonly cert: string };
  /** One for each request, in order; after the last one, `fault`. */
  readonly faults?: readonly Fault[];
  /** For every request that `faults` does not cover. */
  readonly fault?: Fault;
}

// Go's net/http sends what does not fit its 2 KiB buffer chunked, without a Content-Length.
const goBufferBytes = 2048;
const dripsPerSecond = 20;

export class FakeServer implements AsyncDisposable {
  readonly requests: SeenRequest[] = [];
  private readonly faults: Fault[];
  private readonly closing = new AbortController();
  private readonly startedAt = performance.now();
  private readonly server: ReturnType<typeof createServer>;

  private constructor(
    private readonly options: ServerOptions,
    private readonly handle: (request: SeenRequest) => Answer,
  ) {
    this.faults = [...(options.faults ?? [])];
    const listener = (req: IncomingMessage, res: ServerResponse) => void this.serve(req, res);
    this.server = options.tls ? createTlsServer(options.tls, listener) : createServer(listener);
  }

  static async start(options: ServerOptions, handle: (request: SeenRequest) => Answer): Promise<FakeServer> {
    const fake = new FakeServer(options, handle);
    fake.server.listen(options.port ?? 0, options.hostname ?? "127.0.0.1");
    await once(fake.server, "listening");
    return fake;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** Resolves once `count` requests have begun to arrive. */
  async requestsSeen(count: number): Promise<void> {
    while (this.requests.length < count) {
      await once(this.server, "seen", { signal: this.closing.signal });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.closing.abort();
    if (!this.server.listening) return;
    const closed = once(this.server, "close");
    this.server.close();
    this.server.closeAllConnections();
    await closed;
  }

  private async serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const seen = describe(req, performance.now() - this.startedAt);
    this.requests.push(seen);
    this.server.emit("seen");
    const fault = this.faults.shift() ?? this.options.fault;
    try {
      await this.play(fault, seen, req, res);
    } catch (error) {
      // The client went away or the test is over: nobody is left to answer.
      if (!this.closing.signal.aborted && !req.socket.destroyed && !req.destroyed) throw error;
    }
  }

  private async play(
    fault: Fault | undefined,
    seen: SeenRequest,
    req: IncomingMessage,
    res: ServerResponse,
  ): Promise<void> {
    const socket: Socket = req.socket;
    if (fault?.kind === "reset") return void socket.resetAndDestroy();
    const rate = fault?.kind === "drip" ? fault.bytesPerSecond : undefined;
    await this.receive(req, seen, rate);
    if (fault?.kind === "hang") return;
    if (fault?.kind === "reset-after-body") return void socket.resetAndDestroy();
    if (fault?.kind === "slow-answer") await sleep(fault.ms, undefined, { signal: this.closing.signal });

    const answer = answerOf(fault) ?? this.handle(seen);
    if (fault?.kind === "die-mid-answer") return dieMidAnswer(answer, seen, res, socket);
    await this.send(answer, seen, res, rate);
  }

  private async receive(req: IncomingMessage, seen: SeenRequest, rate?: number): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of req as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      seen.body = new Uint8Array(Buffer.concat(chunks));
      if (rate !== undefined) {
        await sleep((chunk.length / rate) * 1000, undefined, { signal: this.closing.signal });
      }
    }
  }

  private async send(answer: Answer, seen: SeenRequest, res: ServerResponse, rate?: number): Promise<void> {
    const body = answer.body ?? "";
    const whole = typeof body === "string" || body instanceof Uint8Array ? Buffer.from(body) : null;
    const isBare = answer.status === 204 || seen.method === "HEAD";
    const length = whole && whole.length <= goBufferBytes && !isBare;
    res.writeHead(answer.status, { ...answer.headers, ...(length && { "Content-Length": whole.length }) });
    seen.status = answer.status;
    const gone = once(res, "close").catch(() => undefined);
    const pieces = whole ? slices(whole, rate) : (body as Iterable<string>);
    for (const piece of pieces) {
      const flows = res.write(piece);
      if (rate !== undefined) {
        await sleep((piece.length / rate) * 1000, undefined, { signal: this.closing.signal });
      } else if (!flows) {
        await Promise.race([once(res, "drain"), gone]);
      }
      if (res.destroyed) return;
    }
    res.end();
  }
}

function* slices(bytes: Buffer, rate?: number): Iterable<Buffer> {
  const size = rate === undefined ? bytes.length : Math.max(1, Math.round(rate / dripsPerSecond));
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

function answerOf(fault: Fault | undefined): Answer | null {
  if (fault?.kind === "status") return { headers: { "Content-Type": "text/html" }, ...fault };
  if (fault?.kind === "redirect")
    return { status: fault.status ?? 302, headers: { Location: fault.location } };
  return null;
}

function dieMidAnswer(answer: Answer, seen: SeenRequest, res: ServerResponse, socket: Socket): void {
  const body = answer.body ?? "";
  const whole = Buffer.from(
    typeof body === "string" || body instanceof Uint8Array ? body : [...body].join(""),
  );
  res.writeHead(answer.status, { ...answer.headers, "Content-Length": whole.length });
  seen.status = answer.status;
  res.write(whole.subarray(0, whole.length / 2), () => socket.destroy());
}
