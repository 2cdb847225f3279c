import { describe, expect, it } from 'vitest';
import { arithmetic, copying, counting, ordering, spelling, wordProblem } from '../../scripts/fledgling/exercises.js';
import { createRandom, type Random } from '../../scripts/fledgling/random.js';

/** Every line of many documents of one kind. */
function linesOf(write: (random: Random) => string): string[] {
  const random = createRandom(11);
  return Array.from({ length: 400 }, () => write(random).split('\n')).flat();
}

const numbers = (text: string) => text.split(' ').map(Number);
const words = (text: string) => text.split(' ');

/** Each line must match one of the patterns, and what the pattern caught must be true. */
function check(write: (random: Random) => string, cases: readonly [RegExp, (...caught: string[]) => boolean][]): void {
  const seen = new Set<RegExp>();
  for (const line of linesOf(write)) {
    const found = cases.find(([pattern]) => pattern.test(line));
    expect(found, `no form for: ${line}`).toBeDefined();
    const [pattern, isTrue] = found!;
    expect(isTrue(...pattern.exec(line)!.slice(1)), `untrue: ${line}`).toBe(true);
    seen.add(pattern);
  }
  expect(seen.size, 'every form occurs').toBe(cases.length);
}

describe('exercises say what is true', () => {
  it('sums, differences, products', () => {
    check(arithmetic, [
      [/^(\d+) \+ (\d+) = (\d+)\.$/, (a, b, c) => Number(a) + Number(b) === Number(c)],
      [/^(\d+) - (\d+) = (\d+)\.$/, (a, b, c) => Number(a) - Number(b) === Number(c)],
      [/^(\d+) x (\d+) = (\d+)\.$/, (a, b, c) => Number(a) * Number(b) === Number(c)],
    ]);
  });

  it('sums in words, with the pronoun of the name', () => {
    const pronouns: Record<string, string> = {};
    const agrees = (name: string, first: string, second: string) => {
      pronouns[name] ??= second;
      return first.toLowerCase() === second && pronouns[name] === second;
    };
    check(wordProblem, [
      [
        /^(\w+) had (\d+) (\w+)\. (He|She) found (\d+) more\. Now (he|she) has (\d+) (\w+)\.$/,
        (name, a, fruit, he, b, again, c, same) =>
          agrees(name!, he!, again!) && fruit === same && Number(a) + Number(b) === Number(c),
      ],
      [
        /^(\w+) had (\d+) (\w+)\. (He|She) ate (\d+) of them\. Now (he|she) has (\d+) (\w+)\.$/,
        (name, a, fruit, he, b, again, c, same) =>
          agrees(name!, he!, again!) && fruit === same && Number(a) - Number(b) === Number(c),
      ],
    ]);
    expect(new Set(Object.values(pronouns))).toEqual(new Set(['he', 'she']));
  });

  it('copies, reversals, last words', () => {
    check(copying, [
      [/^Copy (.+): (.+)\.$/, (row, answer) => row === answer],
      [/^Reverse (.+): (.+)\.$/, (row, answer) => words(row!).reverse().join(' ') === answer],
      [/^Last of (.+): (\w+)\.$/, (row, answer) => words(row!).pop() === answer],
    ]);
  });

  it('counting in equal steps between the announced ends', () => {
    const counts = (sign: number) => (step: string, from: string, to: string, row: string) => {
      const values = numbers(row);
      const steps = values.slice(1).map((value, i) => value - values[i]!);
      return (
        values[0] === Number(from) && values.at(-1) === Number(to) && steps.every((s) => s === sign * Number(step))
      );
    };
    check(counting, [
      [/^Count up by (\d+) from (\d+) to (\d+): ([\d ]+)\.$/, (...caught) => counts(1)(...(caught as Four))],
      [/^Count down by (\d+) from (\d+) to (\d+): ([\d ]+)\.$/, (...caught) => counts(-1)(...(caught as Four))],
    ]);
  });

  it('smallest, largest, sorted', () => {
    check(ordering, [
      [/^Smallest of ([\d ]+): (\d+)\.$/, (row, answer) => Math.min(...numbers(row!)) === Number(answer)],
      [/^Largest of ([\d ]+): (\d+)\.$/, (row, answer) => Math.max(...numbers(row!)) === Number(answer)],
      [
        /^Sort ([\d ]+): ([\d ]+)\.$/,
        (row, answer) => {
          const sorted = numbers(answer!);
          const sameNumbers = [...numbers(row!)].sort().join() === [...sorted].sort().join();
          return sameNumbers && sorted.every((value, i) => i === 0 || sorted[i - 1]! < value);
        },
      ],
    ]);
  });

  it('spelling', () => {
    check(spelling, [
      [
        /^Spell (\w+): ([\w ]+)\.$/,
        (word, letters) => letters!.replaceAll(' ', '') === word && letters!.length === 2 * word!.length - 1,
      ],
    ]);
  });
});

type Four = [string, string, string, string];
