import { describe, expect, test } from "bun:test";
import { proxyFor } from "./proxy.ts";

// What Go's golang.org/x/net/http/httpproxy answers to the same questions.
const PROXY = "http://proxy.test:3128";

const isProxied = (url: string, noProxy: string): boolean =>
  proxyFor(new URL(url), { https: PROXY, http: PROXY, noProxy }) !== null;

describe("NO_PROXY", () => {
  test.each([
    ["", "https://coder.test"],
    ["other.test", "https://coder.test"],
    ["coder.test", "https://xcoder.test"],
    [".coder.test", "https://coder.test"],
    ["*.coder.test", "https://coder.test"],
    ["*coder.test", "https://coder.test"],
    ["coder.test:8443", "https://coder.test"],
    ["coder.test:443", "http://coder.test"],
    ["coder.test.", "https://coder.test"],
    ["http://coder.test", "https://coder.test"],
    ["10.1.2.3", "https://10.1.2.4"],
    ["10.1.2", "https://10.1.2.3"],
    ["10.1.2.3:80", "https://10.1.2.3"],
    ["10.0.0.0/8", "https://11.0.0.1"],
    ["10.0.0.0/33", "https://10.1.2.3"],
    ["fd00::/8", "https://10.1.2.3"],
    ["10.0.0.0/8", "https://[fd00::1]"],
    ["[fd00::1]:8443", "https://[fd00::1]"],
    ["*:443", "https://coder.test"],
    [" , ,", "https://coder.test"],
  ])("%j leaves %s to the proxy", (noProxy, url) => {
    expect(isProxied(url, noProxy)).toBe(true);
  });

  test.each([
    ["*", "https://coder.test"],
    ["other.test, *", "https://10.1.2.3"],
    ["coder.test", "https://coder.test"],
    ["coder.test", "https://a.coder.test"],
    ["CODER.test", "https://coder.TEST"],
    ["test", "https://coder.test"],
    [".coder.test", "https://a.b.coder.test"],
    ["*.coder.test", "https://a.coder.test"],
    ["coder.test:443", "https://coder.test"],
    ["coder.test:8443", "https://coder.test:8443"],
    ["coder.test:", "https://coder.test:8443"],
    ["coder.test:80", "http://coder.test"],
    ["other.test , coder.test", "https://coder.test"],
    ["10.1.2.3", "https://10.1.2.3:8443"],
    ["10.1.2.3:443", "https://10.1.2.3"],
    ["10.0.0.0/8", "https://10.1.2.3"],
    ["10.1.2.3/32", "https://10.1.2.3"],
    ["0.0.0.0/0", "https://10.1.2.3"],
    ["fd00::1", "https://[fd00::1]"],
    ["[fd00::1]:443", "https://[fd00::1]"],
    ["fd00::/8", "https://[fd00::1]"],
  ])("%j keeps %s direct", (noProxy, url) => {
    expect(isProxied(url, noProxy)).toBe(false);
  });
});

test.each([
  "http://localhost",
  "https://localhost:8443",
  "http://127.0.0.1",
  "http://127.9.9.9",
  "http://[::1]",
])("%s never goes through a proxy", (url) => {
  expect(isProxied(url, "")).toBe(false);
});

test.each([
  ["http://proxy.test:3128", "http://proxy.test:3128/"],
  ["https://proxy.test", "https://proxy.test/"],
  ["proxy.test:3128", "http://proxy.test:3128/"],
  ["proxy.test", "http://proxy.test/"],
  [" proxy.test ", "http://proxy.test/"],
  ["10.0.0.1:3128", "http://10.0.0.1:3128/"],
  ["http://me:p%40ss@proxy.test:3128", "http://me:p%40ss@proxy.test:3128/"],
  ["socks5://proxy.test:1080", "socks5://proxy.test:1080"],
])("the proxy may be written %j", (text, address) => {
  const url = new URL("https://coder.test");
  expect(proxyFor(url, { https: text, http: "http://wrong.test", noProxy: "" })?.href).toBe(address);
});

test("each scheme has a proxy of its own", () => {
  const settings = { https: "http://for-https.test", http: "http://for-http.test", noProxy: "" };
  expect(proxyFor(new URL("https://coder.test"), settings)?.hostname).toBe("for-https.test");
  expect(proxyFor(new URL("http://coder.test"), settings)?.hostname).toBe("for-http.test");
  expect(proxyFor(new URL("http://coder.test"), { ...settings, http: "" })).toBeNull();
});

test.each(["", "  ", "http://", "http://me:pass@:port:", "http://me:100%@proxy.test"])(
  "a proxy at %j counts as none",
  (text) => {
    expect(proxyFor(new URL("https://coder.test"), { https: text, http: "", noProxy: "" })).toBeNull();
  },
);
