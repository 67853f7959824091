import { expect, test } from "bun:test";
import { Deadline } from "./deadline.ts";

const clockAt = (start: number) => {
  const clock = { now: start, read: () => clock.now };
  return clock;
};

test("counts down and never below zero", () => {
  const clock = clockAt(1000);
  const deadline = Deadline.in(500, clock.read);
  expect(deadline.remainingMs()).toBe(500);
  clock.now += 400;
  expect(deadline.remainingMs()).toBe(100);
  clock.now += 400;
  expect(deadline.remainingMs()).toBe(0);
});

test("keeps a reserve for what comes after", () => {
  const clock = clockAt(0);
  expect(Deadline.in(500, clock.read).reserving(300).remainingMs()).toBe(200);
  expect(Deadline.in(500, clock.read).reserving(900).remainingMs()).toBe(0);
});

test("a cap shortens a deadline and never lengthens it", () => {
  const clock = clockAt(0);
  expect(Deadline.in(500, clock.read).capped(300).remainingMs()).toBe(300);
  expect(Deadline.in(500, clock.read).capped(900).remainingMs()).toBe(500);
});

test("a sleep ends with the deadline", async () => {
  await Deadline.in(20).sleep(3_600_000);
});
