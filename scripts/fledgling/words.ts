/** The lexicon of the generated text: closed lists, so that a model of 1.4 million weights can know every word. */

export interface Person {
  readonly name: string;
  readonly subject: 'he' | 'she';
  readonly object: 'him' | 'her';
  readonly possessive: 'his' | 'her';
}

const she = (name: string): Person => ({ name, subject: 'she', object: 'her', possessive: 'her' });
const he = (name: string): Person => ({ name, subject: 'he', object: 'him', possessive: 'his' });

export const PEOPLE: readonly Person[] = [
  ...['Mia', 'Anna', 'Lena', 'Rosa', 'Vera', 'Nora', 'Ida', 'Kim'].map(she),
  ...['Tom', 'Ben', 'Otto', 'Paul', 'Leo', 'Max', 'Emil', 'Sam'].map(he),
];

/** With the preposition that says where somebody is. */
export const PLACES = [
  { name: 'garden', at: 'in' },
  { name: 'forest', at: 'in' },
  { name: 'kitchen', at: 'in' },
  { name: 'barn', at: 'in' },
  { name: 'market', at: 'at' },
  { name: 'river', at: 'at' },
  { name: 'school', at: 'at' },
  { name: 'harbour', at: 'at' },
  { name: 'bridge', at: 'on' },
  { name: 'hill', at: 'on' },
  { name: 'beach', at: 'on' },
  { name: 'roof', at: 'on' },
] as const;
export type Place = (typeof PLACES)[number];

export const THINGS = [
  'ball',
  'key',
  'cup',
  'hat',
  'book',
  'lamp',
  'coin',
  'box',
  'rope',
  'bell',
  'shell',
  'kite',
  'drum',
  'map',
  'stone',
  'feather',
] as const;

export const LOOKS = ['red', 'blue', 'green', 'yellow', 'small', 'big', 'old', 'new', 'round', 'empty'] as const;

/** Each with what one of them does; several of them do it without the s. */
export const ANIMALS = [
  { one: 'duck', many: 'ducks', verb: 'swim' },
  { one: 'bird', many: 'birds', verb: 'sing' },
  { one: 'horse', many: 'horses', verb: 'run' },
  { one: 'dog', many: 'dogs', verb: 'bark' },
  { one: 'cat', many: 'cats', verb: 'sleep' },
  { one: 'frog', many: 'frogs', verb: 'jump' },
  { one: 'sheep', many: 'sheep', verb: 'eat' },
  { one: 'mouse', many: 'mice', verb: 'hide' },
] as const;

/** Weather and the mood that comes with it, always the same one. */
export const WEATHER = [
  { sky: 'The sun was shining', mood: 'happy' },
  { sky: 'It was raining', mood: 'sad' },
  { sky: 'The wind was cold', mood: 'tired' },
  { sky: 'It was snowing', mood: 'glad' },
] as const;

export const COUNTED = ['apples', 'nuts', 'eggs', 'plums', 'pears', 'beans'] as const;

export const NUMBER_WORDS = ['two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten'] as const;

/** "a" or "an", by the first letter of what follows; the lexicon has no silent h and no "one-". */
export function article(word: string): string {
  return /^[aeiou]/.test(word) ? 'an' : 'a';
}
