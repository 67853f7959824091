// JSON as Go's encoding/json reads it, with the source text kept: 1.0 and 1, "\u0041" and "A" stay apart.

export type GoJson =
  | { kind: "null" | "bool" }
  | { kind: "number"; source: string }
  | { kind: "string"; value: string; source: string }
  | { kind: "array"; items: GoJson[] }
  | { kind: "object"; members: [string, GoJson][] };

export class GoJsonError extends Error {}

const maxDepth = 10_000; // encoding/json: maxNestingDepth
const space = /[ \t\r\n]*/y;
const string = /"(?:[^"\\\u0000-\u001f]+|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const word = /true|false|null/y;

/** The first value of the text; what follows is left alone, as by json.Decoder. */
export function parseFirstValue(text: string): GoJson {
  let at = 0;

  function take(token: RegExp): string | null {
    token.lastIndex = at;
    const found = token.exec(text)?.[0] ?? null;
    at += found?.length ?? 0;
    return found;
  }

  function takeChar(char: string): boolean {
    take(space);
    if (text[at] !== char) return false;
    at += 1;
    return true;
  }

  function fail(): never {
    if (at >= text.length) throw new GoJsonError(text.trim() === "" ? "EOF" : "unexpected EOF");
    throw new GoJsonError(`invalid character '${text[at]}' at offset ${at}`);
  }

  function value(depth: number): GoJson {
    if (depth > maxDepth) throw new GoJsonError("exceeded max depth");
    if (takeChar("{")) return { kind: "object", members: list("}", () => member(depth)) };
    if (takeChar("[")) return { kind: "array", items: list("]", () => value(depth + 1)) };
    if (text[at] === '"') return stringValue();
    const name = take(word);
    if (name !== null) return { kind: name === "null" ? "null" : "bool" };
    return { kind: "number", source: take(number) ?? fail() };
  }

  function list<T>(close: string, item: () => T): T[] {
    const items: T[] = [];
    if (takeChar(close)) return items;
    do items.push(item());
    while (takeChar(","));
    return takeChar(close) ? items : fail();
  }

  function member(depth: number): [string, GoJson] {
    take(space);
    const name = stringValue().value;
    if (!takeChar(":")) fail();
    return [name, value(depth + 1)];
  }

  function stringValue() {
    const source = take(string) ?? fail();
    // Go turns an escaped surrogate without its partner into U+FFFD.
    const value = (JSON.parse(source) as string).toWellFormed();
    return { kind: "string" as const, value, source };
  }

  return value(1);
}

const utf8Sequence =
  /((?:[\xc2-\xdf]|\xe0[\xa0-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]|\xed[\x80-\x9f]|\xf0[\x90-\xbf][\x80-\xbf]|[\xf1-\xf3][\x80-\xbf]{2}|\xf4[\x80-\x8f][\x80-\xbf])[\x80-\xbf])|[\x80-\xff]/g;

/** Go puts one U+FFFD for each invalid byte; TextDecoder would put one for each run of them. */
export function decodeUtf8(bytes: Uint8Array): string {
  const mended = Buffer.from(bytes)
    .toString("latin1")
    .replace(utf8Sequence, (_, valid?: string) => valid ?? "\xef\xbf\xbd");
  return Buffer.from(mended, "latin1").toString("utf8");
}
