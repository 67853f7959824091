// A proxy in front of a fake Coder that lets a number of requests a second pass and answers 429 to the others.
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type FakeCoder, startFakeCoder } from "./fake-coder.ts";

export interface RateLimitOptions {
  readonly perSecond: number;
  /**
   * "window": go-chi/httprate's, which Coder uses: the last second's count fades out during this one's.
   * "bucket": as of a proxy, e.g. nginx: a second's worth at once, then evenly.
   */
  readonly kind: "window" | "bucket";
  /** Whether a 429 says when to come again; httprate does, with the window's length. */
  readonly retryAfter: boolean;
}

/** Length of httprate's window here, s. */
export const WINDOW_SECONDS = 1;

/** Decides which requests pass; times in ms. */
export class RateLimit {
  private window = 0;
  private count = 0;
  private previousCount = 0;
  private tokens: number;
  private filledAtMs = 0;

  constructor(private readonly options: RateLimitOptions) {
    this.tokens = options.perSecond;
  }

  admits(nowMs: number): boolean {
    return this.options.kind === "window" ? this.admitsInWindow(nowMs) : this.admitsFromBucket(nowMs);
  }

  private admitsInWindow(nowMs: number): boolean {
    const windowMs = WINDOW_SECONDS * 1000;
    const window = Math.floor(nowMs / windowMs);
    if (window !== this.window) {
      this.previousCount = window === this.window + 1 ? this.count : 0;
      this.count = 0;
      this.window = window;
    }
    const fading = this.previousCount * (1 - (nowMs % windowMs) / windowMs);
    if (Math.round(fading + this.count) + 1 > this.options.perSecond * WINDOW_SECONDS) return false;
    this.count += 1;
    return true;
  }

  private admitsFromBucket(nowMs: number): boolean {
    const { perSecond } = this.options;
    this.tokens = Math.min(perSecond, this.tokens + ((nowMs - this.filledAtMs) / 1000) * perSecond);
    this.filledAtMs = nowMs;
    if (this.tokens < 1) return false;
    this.tokens -= 1;
    return true;
  }
}

/** One Coder for many tasks. All agents share one token, which the limit does not look at. */
export class RateLimitedCoder implements AsyncDisposable {
  /** When each request came, ms since the start, and whether it passed. */
  readonly arrivals: { readonly atMs: number; readonly passed: boolean }[] = [];
  private readonly server = createServer({ keepAlive: false }, (req, res) => void this.serve(req, res));
  private readonly upstream = new Agent({ keepAlive: true });
  private readonly limit: RateLimit;

  private constructor(
    readonly coder: FakeCoder,
    readonly taskIds: readonly string[],
    private readonly options: RateLimitOptions,
  ) {
    this.limit = new RateLimit(options);
  }

  static async start(tasks: number, options: RateLimitOptions): Promise<RateLimitedCoder> {
    const taskIds = Array.from({ length: tasks }, () => randomUUID());
    const front = new RateLimitedCoder(await startFakeCoder({ tasks: taskIds }), taskIds, options);
    front.server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 });
    await once(front.server, "listening");
    return front;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/`;
  }

  delivered(): number {
    return this.taskIds.filter((id) => this.coder.readSnapshot(id).length > 0).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.server, "close");
    this.server.close();
    this.server.closeAllConnections();
    this.upstream.destroy();
    await closed;
    await this.coder[Symbol.asyncDispose]();
  }

  private async serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const nowMs = performance.now();
    const passed = this.limit.admits(nowMs);
    this.arrivals.push({ atMs: nowMs, passed });
    res.on("error", () => res.destroy());
    req.on("error", () => res.destroy());
    if (!passed) {
      // Like Go: the answer goes out at once, and what still comes is read and dropped.
      req.resume();
      const retryAfter = this.options.retryAfter && { "retry-after": String(WINDOW_SECONDS) };
      res.writeHead(429, { "content-type": "application/json", ...retryAfter });
      return void res.end('{"message":"You\'ve been rate limited for sending too many requests!"}\n');
    }
    const { method, url: path, headers } = req;
    const onward = request({
      port: this.coder.port,
      host: "127.0.0.1",
      agent: this.upstream,
      method,
      path,
      headers,
    });
    onward.on("error", () => res.destroy());
    onward.on("response", (answer) => {
      res.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(res);
    });
    req.pipe(onward);
  }
}
