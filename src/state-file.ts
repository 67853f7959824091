// AgentAPI's state file: the conversation as it was last saved, for when AgentAPI itself is gone.
import { readFileSync, statSync } from "node:fs";
import type { History } from "./agentapi.ts";
import { attempt } from "./attempt.ts";
import type { Deadline } from "./deadline.ts";
import { WireError } from "./errors.ts";
import { parseJson } from "./http.ts";

const POLL_MS = 50;

/** Reads the last `keep` messages. Throws a WireError when there is no such file, or none of this shape. */
export function readStateFile(path: string, keep: number): History {
  const source = `State file ${path}`;
  let text: string;
  try {
    if (!statSync(path).isFile()) throw new Error("no regular file");
    text = readFileSync(path, "utf8");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new WireError(source, code === "ENOENT" ? "does not exist" : message);
  }
  const messages = (parseJson(text, source) as { messages?: unknown } | null)?.messages ?? [];
  if (!Array.isArray(messages)) throw new WireError(source, "has no list of messages");
  return { messages: messages.slice(-keep).map(toWireMessage), total: messages.length };
}

/** The state file says `message` where the API says `content`. */
function toWireMessage(saved: unknown): unknown {
  if (typeof saved !== "object" || saved === null || !("message" in saved)) return saved;
  const { message, ...others } = saved;
  return { ...others, content: message };
}

/** Tells one writing of a file from the next; "" when there is no file. */
export function fileVersion(path: string): string {
  const stat = attempt(() => statSync(path), null);
  return stat === null ? "" : [stat.ino, stat.mtimeMs, stat.size].join();
}

/** Waits until the file is another than `before`. Returns false when the deadline comes first. */
export async function waitForNewFile(path: string, before: string, deadline: Deadline): Promise<boolean> {
  while (["", before].includes(fileVersion(path))) {
    if (deadline.remainingMs() === 0) return false;
    await deadline.sleep(POLL_MS);
  }
  return true;
}
