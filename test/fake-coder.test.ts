import { describe, expect, test } from "bun:test";
import { randomUUID } from "node:crypto";
import { connect } from "node:net";
import { type FakeCoder, SnapshotReadError, startFakeCoder } from "./fake-coder.ts";

const healthy = '{"messages":[{"id":1,"content":"hi","role":"agent","time":"2026-01-30T09:31:04+02:00"}]}';

interface Sent {
  body?: string | Uint8Array;
  task?: string;
  query?: string;
  token?: string;
  method?: string;
  path?: string;
}

function send(coder: FakeCoder, sent: Sent = {}): Promise<Response> {
  const task = sent.task ?? coder.taskId;
  const path = sent.path ?? `api/v2/workspaceagents/me/tasks/${task}/log-snapshot`;
  const method = sent.method ?? "POST";
  return fetch(`${coder.url}${path}${sent.query ?? "?format=agentapi"}`, {
    method,
    redirect: "manual",
    headers: { "Coder-Session-Token": sent.token ?? coder.token },
    ...(method === "POST" && { body: sent.body ?? healthy }),
  });
}

function withMessage(fields: string): string {
  return `{"messages":[{${fields}}]}`;
}

describe("a healthy Coder", () => {
  test("keeps the last snapshot of a task and shows it to the user", async () => {
    await using coder = await startFakeCoder();
    await send(coder, { body: withMessage('"id":1,"content":"old","role":"user"') });
    const response = await send(coder);
    expect(response.status).toBe(204);
    expect(await response.text()).toBe("");
    expect(coder.readSnapshot()).toEqual([
      { id: 1, content: "hi", role: "agent", time: "2026-01-30T09:31:04+02:00" },
    ]);
    expect(coder.snapshots.get(coder.taskId)?.bytes).toBe(healthy.length);
  });

  test("records what arrived", async () => {
    await using coder = await startFakeCoder();
    await send(coder);
    const [request] = coder.requests;
    expect(request?.method).toBe("POST");
    expect(request?.path).toBe(`/api/v2/workspaceagents/me/tasks/${coder.taskId}/log-snapshot`);
    expect(request?.query.get("format")).toBe("agentapi");
    expect(request?.headers["coder-session-token"]).toBe(coder.token);
    expect(Buffer.from(request?.body ?? []).toString()).toBe(healthy);
    expect(request?.atMs).toBeGreaterThanOrEqual(0);
    expect(request?.status).toBe(204);
  });

  test("has a URL with the path prefix that ends with a slash, and nothing outside the prefix", async () => {
    await using coder = await startFakeCoder({ pathPrefix: "/coder" });
    expect(coder.url).toBe(`http://127.0.0.1:${coder.port}/coder/`);
    expect((await send(coder)).status).toBe(204);
    const outside = `http://127.0.0.1:${coder.port}/api/v2/workspaceagents/me/tasks/${coder.taskId}/log-snapshot`;
    expect((await fetch(outside, { method: "POST" })).status).toBe(404);
  });

  test.skipIf(!Bun.which("openssl"))("speaks TLS", async () => {
    const made = Bun.spawn(
      "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=fake -addext subjectAltName=IP:127.0.0.1 -keyout - -out -".split(
        " ",
      ),
      { stderr: "ignore" },
    );
    const pem = await new Response(made.stdout).text();
    await using coder = await startFakeCoder({ tls: { key: pem, cert: pem } });
    const response = await fetch(coder.url, { tls: { ca: pem } });
    expect(coder.url).toStartWith("https://");
    expect(await response.json()).toEqual({ message: "Route not found." });
  });
});

describe("a request is refused", () => {
  const other = randomUUID();
  const table: [why: string, sent: Sent, status: number, body: unknown][] = [
    [
      "without a token",
      { token: "", task: "x" },
      401,
      { message: 'Cookie "coder_session_token" must be provided.' },
    ],
    [
      "with the token of another agent, before its task is looked at",
      { token: other, task: "x" },
      401,
      { message: "Workspace agent not authorized.", detail: expect.stringContaining("provision job") },
    ],
    [
      "for a task id that is no uuid, before the query is looked at",
      { task: "x", query: "" },
      400,
      { message: "Invalid task ID format.", detail: expect.any(String) },
    ],
    [
      "without a format, before the task is looked for",
      { task: other, query: "" },
      400,
      { message: "Invalid query parameters.", validations: [expect.objectContaining({ field: "format" })] },
    ],
    [
      "with another query parameter",
      { query: "?format=agentapi&x=1" },
      400,
      { message: "Invalid query parameters.", validations: [expect.objectContaining({ field: "x" })] },
    ],
    [
      "with another format",
      { query: "?format=text" },
      400,
      { message: "Invalid format parameter.", detail: expect.any(String) },
    ],
    [
      "for a task of somebody else, before its body is looked at",
      { task: other, body: "x" },
      404,
      { message: "Resource not found or you do not have access to this resource" },
    ],
    ["on another route", { path: "api/v2/buildinfo" }, 404, { message: "Route not found." }],
    [
      "with a doubled slash",
      { path: "api/v2//workspaceagents/me/tasks/x/log-snapshot" },
      404,
      { message: "Route not found." },
    ],
    [
      "with a U+0000 in what would be kept, as by PostgreSQL",
      { body: withMessage(String.raw`"content":"a\u0000b"`) },
      500,
      { message: "Internal error storing snapshot.", detail: "pq: unsupported Unicode escape sequence" },
    ],
    [
      "without messages",
      { body: '{"messages":null}' },
      400,
      { message: "Invalid agentapi payload structure.", detail: 'Missing required "messages" field.' },
    ],
  ];

  test.each(table)("%s", async (_, sent, status, body) => {
    await using coder = await startFakeCoder();
    const response = await send(coder, sent);
    expect(response.status).toBe(status);
    expect(await response.json()).toEqual(body);
    expect(coder.snapshots.size).toBe(0);
  });

  test("with another method, without a body in the answer", async () => {
    await using coder = await startFakeCoder();
    const response = await send(coder, { method: "GET" });
    expect(response.status).toBe(405);
    expect(response.headers.get("Allow")).toBe("POST");
    expect(await response.text()).toBe("");
  });

  test("above 64 KiB of bytes, not below", async () => {
    await using coder = await startFakeCoder();
    const frame = withMessage('"content":"é"').length + 1; // é is two bytes
    const body = (bytes: number): string => withMessage(`"content":"é${"a".repeat(bytes - frame)}"`);
    expect((await send(coder, { body: body(65_536) })).status).toBe(204);
    const refused = await send(coder, { body: body(65_537) });
    expect(refused.status).toBe(400);
    expect(await refused.json()).toEqual({
      message: "Failed to decode request payload.",
      detail: "http: request body too large",
    });
    expect(coder.snapshots.get(coder.taskId)?.bytes).toBe(65_536);
  });

  test("by a server from before the endpoint as by a route that is not there", async () => {
    await using coder = await startFakeCoder({ supportsSnapshots: false });
    const response = await send(coder);
    expect(response.status).toBe(404);
    expect(await response.json()).toEqual({ message: "Route not found." });
  });
});

describe("task ids", () => {
  const id = "0f8fad5b-d9cb-469f-a165-70867728950e";

  test.each([id, id.toUpperCase(), `urn:uuid:${id}`, `%7B${id}%7D`, id.replaceAll("-", "")])(
    "%s names the task",
    async (task) => {
      await using coder = await startFakeCoder({ tasks: [id] });
      expect((await send(coder, { task })).status).toBe(204);
      expect([...coder.snapshots.keys()]).toEqual([id]);
    },
  );

  test.each([`x${id}`, id.slice(1), id.replace("-", ""), `%7B${id}`, `urn:uuid:${id.replaceAll("-", "")}`])(
    "%s is no uuid",
    async (task) => {
      await using coder = await startFakeCoder({ tasks: [id] });
      expect((await send(coder, { task })).status).toBe(400);
    },
  );
});

// Every row was compared with encoding/json and time.Time of Go 1.26.
describe("the decoder", () => {
  const zero = { id: 0, content: "", role: "", time: "0001-01-01T00:00:00Z" };

  const kept: [fields: string, message: Partial<typeof zero>][] = [
    ["", {}],
    ['"id":null,"content":null,"role":null,"time":null', {}],
    ['"type":"x","$schema":{"deep":[1.5]}', {}],
    ['"ID":7,"Content":"a","ROLE":"b"', { id: 7, content: "a", role: "b" }],
    ['"id":-0', { id: 0 }],
    ['"role":"system"', { role: "system" }],
    [String.raw`"content":"\ud83d\ude00 \ud800 \ude00\ud83d"`, { content: "😀 \ufffd \ufffd\ufffd" }],
    ['"time":"2024-02-29T23:59:59Z"', { time: "2024-02-29T23:59:59Z" }],
    ['"time":"2026-01-30T09:31:04.120+00:00"', { time: "2026-01-30T09:31:04.12Z" }],
    ['"time":"2026-01-30T09:31:04.1234567891-07:30"', { time: "2026-01-30T09:31:04.123456789-07:30" }],
  ];
  test.each(kept)("keeps {%s}", async (fields, message) => {
    await using coder = await startFakeCoder();
    expect((await send(coder, { body: withMessage(fields) })).status).toBe(204);
    expect(coder.snapshots.get(coder.taskId)?.messages).toEqual([{ ...zero, ...message }]);
  });

  test.each([
    ...["1.0", "1e0", '"1"', "true", "9223372036854775808", "01"].map((id) => `"id":${id}`),
    ...["1", "[]"].map((content) => `"content":${content}`),
    '"role":1',
    '"time":0',
    ...[
      "2026-01-30T09:31:04",
      "2026-01-30",
      "2026-01-30t09:31:04Z",
      "2026-01-30T09:31:04z",
      "2026-01-30 09:31:04Z",
      "2026-02-29T09:31:04Z",
      "2026-01-30T24:00:00Z",
      "2026-01-30T23:59:60Z",
      "2026-01-30T09:31:04+0200",
      String.raw`2026\u002d01-30T09:31:04Z`,
    ].map((time) => `"time":"${time}"`),
  ])("refuses {%s}", async (fields) => {
    await using coder = await startFakeCoder();
    const response = await send(coder, { body: withMessage(fields) });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ message: "Failed to decode request payload." });
  });

  test.each([
    "",
    "[]",
    "1",
    '"x"',
    '{"messages":[1]}',
    '{"messages":{}}',
    '{"messages":[],}',
    '{"messages":[',
  ])("refuses the body %p", async (body) => {
    await using coder = await startFakeCoder();
    expect((await send(coder, { body })).status).toBe(400);
  });

  test("reads the first value and leaves what follows", async () => {
    await using coder = await startFakeCoder();
    expect((await send(coder, { body: '{"messages":[]} garbage' })).status).toBe(204);
  });

  test("puts one U+FFFD for each byte that is no UTF-8", async () => {
    await using coder = await startFakeCoder();
    const body = Buffer.from(withMessage('"content":"\xe2\x82(\xff\xe2\x82\xac"'), "latin1");
    await send(coder, { body: new Uint8Array(body) });
    expect(coder.snapshots.get(coder.taskId)?.messages[0]?.content).toBe("\ufffd\ufffd(\ufffd€");
  });
});

test("the reader fails for the whole task when one message has a role that it does not know", async () => {
  await using coder = await startFakeCoder();
  const body = '{"messages":[{"role":"user"},{"role":"system"}]}';
  expect((await send(coder, { body })).status).toBe(204);
  expect(() => coder.readSnapshot()).toThrow(SnapshotReadError);
});

describe("a faulty Coder", () => {
  test("plays its faults one by one and then is healthy", async () => {
    await using coder = await startFakeCoder({
      faults: [
        { kind: "status", status: 429, headers: { "Retry-After": "1" } },
        { kind: "status", status: 502, body: "<html>Bad Gateway</html>" },
        { kind: "redirect", location: "https://example.com/", status: 307 },
      ],
    });
    const limited = await send(coder);
    expect(limited.status).toBe(429);
    expect(limited.headers.get("Retry-After")).toBe("1");
    expect(await (await send(coder)).text()).toBe("<html>Bad Gateway</html>");
    expect((await send(coder)).headers.get("Location")).toBe("https://example.com/");
    expect((await send(coder)).status).toBe(204);
    expect(coder.requests.map(({ status }) => status)).toEqual([429, 502, 307, 204]);
  });

  test("resets the connection before an answer, each time", async () => {
    await using coder = await startFakeCoder({ fault: { kind: "reset" } });
    expect(await rawError(coder, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")).toBe("ECONNRESET");
    expect(await rawError(coder, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")).toBe("ECONNRESET");
    expect(coder.requests.map(({ status }) => status)).toEqual(["none", "none"]);
  });

  test("resets the connection when the whole body is there, and stores nothing", async () => {
    await using coder = await startFakeCoder({ fault: { kind: "reset-after-body" } });
    await expect(send(coder)).rejects.toThrow();
    expect(await rawError(coder, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")).toBe(
      "ECONNRESET",
    );
    expect(Buffer.from(coder.requests.at(-1)?.body ?? []).toString()).toBe("abc");
    expect(coder.snapshots.size).toBe(0);
  });

  test("hangs for as long as the client has patience, and does not hold up the end of the test", async () => {
    await using coder = await startFakeCoder({ fault: { kind: "hang" } });
    const patience = new AbortController();
    const answer = fetch(coder.url, { signal: patience.signal });
    await coder.requestsSeen(1);
    patience.abort();
    await expect(answer).rejects.toThrow();
    expect(coder.requests[0]?.status).toBe("none");
  });

  test("drips: takes a body of 100 bytes at 500 bytes a second in no less than 0.2 s", async () => {
    await using coder = await startFakeCoder({ fault: { kind: "drip", bytesPerSecond: 500 } });
    const start = performance.now();
    expect((await send(coder, { body: healthy.padEnd(100) })).status).toBe(204);
    expect(performance.now() - start).toBeGreaterThan(190);
  });

  test("answers late, and right", async () => {
    await using coder = await startFakeCoder({ faults: [{ kind: "slow-answer", ms: 100 }] });
    const start = performance.now();
    expect((await send(coder)).status).toBe(204);
    expect(performance.now() - start).toBeGreaterThan(95);
  });
});

function rawError(coder: FakeCoder, request: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(coder.port, "127.0.0.1", () => socket.write(request));
    socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code));
    socket.on("end", () => resolve("end"));
    socket.resume();
  });
}
