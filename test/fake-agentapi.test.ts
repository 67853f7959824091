import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { get, type IncomingMessage } from "node:http";
import { findTools } from "../tools/inventory.ts";
import { longHistory, startFakeAgentApi } from "./fake-agentapi.ts";
import { freePort } from "./free-port.ts";

const message = { id: 0, content: "a <b> \u2028", role: "agent", time: "2026-01-30T09:31:04+02:00" };

describe("the fake AgentAPI", () => {
  test("serves its messages and its status", async () => {
    await using api = await startFakeAgentApi({ messages: [message], status: "running" });
    const url = `http://localhost:${api.port}`;
    expect(await (await fetch(`${url}/messages`)).text()).toBe(
      `{"$schema":"${url}/schemas/MessagesResponseBody.json","messages":[{"id":0,"content":"a <b> \\u2028","role":"agent","time":"2026-01-30T09:31:04+02:00"}]}\n`,
    );
    expect(await (await fetch(`${url}/status`)).json()).toMatchObject({ status: "running" });
    expect(api.requests.map(({ path, headers }) => [path, headers["host"]])).toEqual([
      ["/messages", `localhost:${api.port}`],
      ["/status", `localhost:${api.port}`],
    ]);
  });

  test("serves garbage as it is", async () => {
    await using odd = await startFakeAgentApi({ messages: [1, { type: "x" }, null] });
    expect(await messagesOf(odd.port)).toEqual([1, { type: "x" }, null]);
    await using none = await startFakeAgentApi({ messages: null });
    expect(await messagesOf(none.port)).toBeNull();
    await using html = await startFakeAgentApi({ raw: "<html>" });
    expect(await (await fetch(`http://localhost:${html.port}/messages`)).text()).toBe("<html>");
  });

  test("listens on IPv6 alone where asked", async () => {
    await using api = await startFakeAgentApi({ hostname: "::1" });
    expect((await fetch(`http://[::1]:${api.port}/status`)).status).toBe(200);
    await expect(fetch(`http://127.0.0.1:${api.port}/status`)).rejects.toThrow();
  });

  test("refuses a Host that is not among the allowed ones", async () => {
    await using api = await startFakeAgentApi({ allowedHosts: ["coder.example"] });
    expect((await request(api.port, "/status", "coder.example:1")).status).toBe(200);
    expect(await request(api.port, "/status", "localhost")).toMatchObject({
      status: 400,
      body: "Invalid host header. Allowed hosts: coder.example\n",
    });
    await using open = await startFakeAgentApi({ allowedHosts: ["*"] });
    expect((await request(open.port, "/status", "anything")).status).toBe(200);
  });

  test("makes a history of 100 MB while the client reads it", async () => {
    await using api = await startFakeAgentApi({ messages: longHistory(10_000, 10_000) });
    const before = process.memoryUsage().rss;
    let bytes = 0;
    let mostMemory = before;
    const response = await fetch(`http://localhost:${api.port}/messages`);
    for await (const chunk of response.body ?? []) {
      bytes += chunk.length;
      mostMemory = Math.max(mostMemory, process.memoryUsage().rss);
    }
    expect(bytes).toBeGreaterThan(100_000_000);
    expect(mostMemory - before).toBeLessThan(90_000_000);
  });

  test("stops making a history when the client leaves", async () => {
    let made = 0;
    const endless = {
      *[Symbol.iterator]() {
        for (; ; made += 1) yield "x".repeat(10_000);
      },
    };
    await using api = await startFakeAgentApi({ messages: endless });
    const patience = new AbortController();
    const response = await fetch(`http://localhost:${api.port}/messages`, { signal: patience.signal });
    await response.body?.getReader().read();
    patience.abort();
    let before = -1;
    while (made !== before) {
      before = made;
      await Bun.sleep(50);
    }
    expect((await fetch(`http://localhost:${api.port}/status`)).status).toBe(200);
  });

  test("makes the same long history again for a second request", async () => {
    await using api = await startFakeAgentApi({ messages: longHistory(3, 50) });
    expect(await messagesOf(api.port)).toEqual([...longHistory(3, 50)]);
    expect(await messagesOf(api.port)).toHaveLength(3);
  });

  test("dies in the middle of an answer", async () => {
    await using api = await startFakeAgentApi({ messages: [message], fault: { kind: "die-mid-answer" } });
    const response = await request(api.port, "/messages", "localhost");
    expect(response.complete).toBe(false);
    const announced = Number(response.headers["content-length"]);
    expect(response.body.length).toBe(Math.floor(announced / 2));
  });

  test("drips its answer", async () => {
    await using api = await startFakeAgentApi({ fault: { kind: "drip", bytesPerSecond: 500 } });
    const start = performance.now();
    expect(await messagesOf(api.port)).toEqual([]);
    expect(performance.now() - start).toBeGreaterThan(100); // some 85 bytes
  });

  test("hangs, and fails once, and answers then", async () => {
    await using api = await startFakeAgentApi({
      faults: [{ kind: "hang" }, { kind: "status", status: 500 }],
    });
    const patience = new AbortController();
    const hanging = fetch(`http://localhost:${api.port}/messages`, { signal: patience.signal });
    await api.requestsSeen(1);
    patience.abort();
    await expect(hanging).rejects.toThrow();
    expect((await fetch(`http://localhost:${api.port}/messages`)).status).toBe(500);
    expect(await messagesOf(api.port)).toEqual([]);
  });
});

const binary = findTools()?.agentapi;
const missing = binary && existsSync(binary) ? "" : " (skipped: no AgentAPI binary, run npm run setup)";

describe(`the fake AgentAPI and the real one answer alike${missing}`, () => {
  const requests: [method: string, path: string, host: string][] = [
    ...[
      "localhost",
      "localhost:1",
      "127.0.0.1",
      "[::1]",
      "[::1]:9",
      "LOCALHOST",
      "example.com",
      "localhost.evil",
    ].map((host): [string, string, string] => ["GET", "/status", host]),
    ["GET", "/messages", "localhost"],
    ["GET", "/messages?x=1", "localhost"],
    ["GET", "/messages/", "localhost"],
    ["POST", "/messages", "localhost"],
    ["HEAD", "/messages", "localhost"],
    ["PUT", "/status", "localhost"],
    ["GET", "/nothing", "localhost"],
    ["GET", "/", "localhost"],
  ];
  const compared = [
    "content-type",
    "content-length",
    "transfer-encoding",
    "allow",
    "location",
    "link",
    "vary",
  ];

  for (const screen of ["hello", "x".repeat(3000)]) {
    test.skipIf(missing !== "")(`with a screen of ${screen.length} characters`, async () => {
      await using real = await startRealAgentApi(screen);
      const messages = (await messagesOf(real.port)) as unknown[];
      await using fake = await startFakeAgentApi({ messages });
      for (const [method, path, host] of requests) {
        const [theirs, ours] = await Promise.all(
          [real, fake].map(({ port }) => request(port, path, host, method)),
        );
        const shape = (answer: typeof theirs) => ({
          request: `${method} ${path} for ${host}`,
          status: answer?.status,
          body: answer?.body,
          headers: compared.map((name) => `${name}: ${answer?.headers[name]}`),
        });
        expect(shape(ours)).toEqual(shape(theirs));
      }
    });
  }
});

async function startRealAgentApi(screen: string): Promise<AsyncDisposable & { port: number }> {
  const port = await freePort();
  const agent = `printf %s ${screen}; exec sleep 1000`;
  const server = Bun.spawn(
    [binary ?? "", "server", "--type=custom", `--port=${port}`, "--", "bash", "-c", agent],
    { stdin: "ignore", stdout: "ignore", stderr: "ignore" },
  );
  const dispose = async (): Promise<void> => {
    server.kill("SIGTERM");
    await server.exited;
  };
  try {
    // Its screen is complete once it stands still.
    while ((await statusOf(port)) !== "stable") await Bun.sleep(20);
  } catch (error) {
    await dispose();
    throw error;
  }
  return { port, [Symbol.asyncDispose]: dispose };

  async function statusOf(at: number): Promise<unknown> {
    if (server.exitCode !== null) throw new Error(`AgentAPI ended with status ${server.exitCode}`);
    const response = await fetch(`http://localhost:${at}/status`).catch(() => null); // not listening yet
    return ((await response?.json()) as { status?: unknown } | undefined)?.status;
  }
}

async function messagesOf(port: number): Promise<unknown> {
  const response = await fetch(`http://localhost:${port}/messages`);
  return ((await response.json()) as { messages: unknown }).messages;
}

interface Reply {
  status: number | undefined;
  headers: IncomingMessage["headers"];
  body: string;
  complete: boolean;
}

/** fetch does not let a test choose the Host. */
function request(port: number, path: string, host: string, method = "GET"): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const sent = get(
      { host: "localhost", port, path, method, headers: { Host: host }, agent: false },
      (response) => {
        const chunks: Buffer[] = [];
        const finish = () =>
          resolve({
            status: response.statusCode,
            headers: response.headers,
            body: Buffer.concat(chunks).toString(),
            complete: response.complete,
          });
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", () => undefined); // an answer cut off; "close" follows
        response.on("close", finish);
      },
    );
    sent.on("error", reject);
  });
}
