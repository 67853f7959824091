// A forward proxy as companies run them: CONNECT for TLS, whole addresses for plain HTTP, with a password if asked.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

export interface FakeProxyOptions {
  /** "user:password" that it wants to see; none: everybody may pass. */
  readonly credentials?: string;
  /** Hosts that only this proxy can resolve -> their ports on loopback. Others are taken as they are. */
  readonly hosts?: Readonly<Record<string, number>>;
  /** Answers every request with this status. */
  readonly refusal?: number;
  /** Takes requests and never answers. */
  readonly hangs?: boolean;
}

export interface ProxiedRequest {
  readonly method: string;
  /** host:port of a CONNECT, else the whole address. */
  readonly target: string;
  /** "user:password" as it came; "" without. */
  readonly credentials: string;
  /** The head of the request, as it came. */
  readonly head: string;
}

export class FakeProxy implements AsyncDisposable {
  readonly requests: ProxiedRequest[] = [];
  private readonly sockets = new Set<Socket>();
  private readonly server: Server;

  private constructor(private readonly options: FakeProxyOptions) {
    this.server = createServer((client) => void this.serve(client));
  }

  static async start(options: FakeProxyOptions = {}): Promise<FakeProxy> {
    const proxy = new FakeProxy(options);
    proxy.server.listen(0, "127.0.0.1");
    await once(proxy.server, "listening");
    return proxy;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** For HTTPS_PROXY and the like; with credentials where a client should have some. */
  url(credentials = ""): string {
    return `http://${credentials && `${credentials}@`}127.0.0.1:${this.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.server, "close");
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  private async serve(client: Socket): Promise<void> {
    this.track(client);
    const { head, rest } = await readHead(client);
    const [requestLine = "", ...fields] = head.split("\r\n");
    const [method = "", target = ""] = requestLine.split(" ");
    const token = /^proxy-authorization: basic (.*)$/im.exec(head)?.[1] ?? "";
    const credentials = Buffer.from(token, "base64").toString();
    this.requests.push({ method, target, credentials, head });

    if (this.options.hangs) return;
    if (this.options.refusal !== undefined) return refuse(client, this.options.refusal);
    if (credentials !== (this.options.credentials ?? "")) return refuse(client, 407);

    const isTunnel = method === "CONNECT";
    const url = new URL(isTunnel ? `http://${target}` : target);
    const upstream = connect({
      host: this.options.hosts?.[url.hostname] === undefined ? url.hostname : "127.0.0.1",
      port: this.options.hosts?.[url.hostname] ?? (Number(url.port) || 80),
    });
    this.track(upstream);
    upstream.on("error", () => refuse(client, 502));
    upstream.on("connect", () => {
      if (isTunnel) client.write("HTTP/1.1 200 Connection established\r\n\r\n");
      else {
        const kept = fields.filter((field) => !/^proxy-/i.test(field));
        upstream.write([`${method} ${url.pathname}${url.search} HTTP/1.1`, ...kept, "", ""].join("\r\n"));
      }
      upstream.write(rest);
      client.pipe(upstream).pipe(client);
    });
  }

  private track(socket: Socket): void {
    this.sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.sockets.delete(socket));
  }
}

/** What comes before the empty line, and what has already come after it. */
async function readHead(socket: Socket): Promise<{ head: string; rest: Buffer }> {
  let received = Buffer.alloc(0);
  return new Promise((resolve) => {
    const receive = (chunk: Buffer): void => {
      received = Buffer.concat([received, chunk]);
      const end = received.indexOf("\r\n\r\n");
      if (end === -1) return;
      socket.off("data", receive).pause();
      resolve({ head: received.toString("latin1", 0, end), rest: received.subarray(end + 4) });
    };
    socket.on("data", receive);
  });
}

function refuse(client: Socket, status: number): void {
  const challenge = status === 407 ? 'Proxy-Authenticate: Basic realm="proxy"\r\n' : "";
  client.end(`HTTP/1.1 ${status} Refused\r\n${challenge}Content-Length: 0\r\nConnection: close\r\n\r\n`);
}
