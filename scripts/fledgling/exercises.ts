import type { Random } from './random.js';
import { COUNTED, LOOKS, PEOPLE, THINGS } from './words.js';

const lines = (random: Random, low: number, high: number, line: () => string) =>
  Array.from({ length: random.integer(low, high) }, line).join('\n');

/** Sums and differences of numbers up to 20, products up to 10 × 10. */
export function arithmetic(random: Random): string {
  return lines(random, 5, 8, () => {
    const kind = random.pick(['+', '-', '+', '-', 'x']);
    if (kind === 'x') {
      const [a, b] = [random.integer(1, 10), random.integer(1, 10)];
      return `${a} x ${b} = ${a * b}.`;
    }
    const [a, b] = [random.integer(0, 20), random.integer(0, 20)];
    return kind === '+' ? `${a} + ${b} = ${a + b}.` : `${a + b} - ${b} = ${a}.`;
  });
}

/** A sum told in words: somebody has some, gets or gives some, and has so many now. */
export function wordProblem(random: Random): string {
  return lines(random, 2, 3, () => {
    const { name, subject } = random.pick(PEOPLE);
    const pronoun = subject === 'he' ? 'He' : 'She';
    const fruit = random.pick(COUNTED);
    const [a, b] = [random.integer(2, 12), random.integer(2, 12)];
    return random.chance(0.5)
      ? `${name} had ${a} ${fruit}. ${pronoun} found ${b} more. Now ${subject} has ${a + b} ${fruit}.`
      : `${name} had ${a + b} ${fruit}. ${pronoun} ate ${b} of them. Now ${subject} has ${a} ${fruit}.`;
  });
}

/** Rows of words said again: as they are, backwards, or the last one. */
export function copying(random: Random): string {
  return lines(random, 3, 5, () => {
    const words = random.sample([...THINGS, ...LOOKS], random.integer(3, 6));
    const row = words.join(' ');
    return random.pick([
      `Copy ${row}: ${row}.`,
      `Reverse ${row}: ${[...words].reverse().join(' ')}.`,
      `Last of ${row}: ${words.at(-1)}.`,
    ]);
  });
}

/** Counting up or down in steps of one, two, five or ten. */
export function counting(random: Random): string {
  return lines(random, 3, 4, () => {
    const step = random.pick([1, 1, 2, 5, 10]);
    const start = step * random.integer(0, 9);
    const numbers = Array.from({ length: random.integer(4, 7) }, (_, i) => start + step * i);
    if (random.chance(0.4)) numbers.reverse();
    const direction = numbers[0] === start ? 'up' : 'down';
    return `Count ${direction} by ${step} from ${numbers[0]} to ${numbers.at(-1)}: ${numbers.join(' ')}.`;
  });
}

/** The smallest, largest or sorted numbers of a row. */
export function ordering(random: Random): string {
  return lines(random, 3, 5, () => {
    const numbers = random.sample(
      Array.from({ length: 30 }, (_, i) => i),
      random.integer(3, 5),
    );
    const sorted = [...numbers].sort((a, b) => a - b);
    const row = numbers.join(' ');
    return random.pick([
      `Smallest of ${row}: ${sorted[0]}.`,
      `Largest of ${row}: ${sorted.at(-1)}.`,
      `Sort ${row}: ${sorted.join(' ')}.`,
    ]);
  });
}

/** Words letter by letter. */
export function spelling(random: Random): string {
  return lines(random, 3, 5, () => {
    const word = random.pick([...THINGS, ...LOOKS, ...PEOPLE.map((person) => person.name)]);
    return `Spell ${word}: ${[...word].join(' ')}.`;
  });
}
