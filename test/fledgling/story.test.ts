import { describe, expect, it } from 'vitest';
import { createRandom } from '../../scripts/fledgling/random.js';
import { story } from '../../scripts/fledgling/story.js';

/**
 * A reader of the stories that knows English forms and nothing of the generator: follows who is where and who has what,
 * takes "he" for whom the last sentence was about, and answers the questions.
 */
class Reader {
  readonly where = new Map<string, string>();
  readonly holder = new Map<string, string>();
  readonly pronoun = new Map<string, string>();
  /** What the last question asked for. */
  asked = '';
  private last = '';

  /** Reads the sentences before the questions; returns those it has no form for. */
  read(text: string): string[] {
    const sentences = text.match(/"[^"]+" (?:said|asked) \w+\.|[^".]+\./g) ?? [];
    return sentences.map((sentence) => sentence.trim()).filter((sentence) => !this.sentence(sentence));
  }

  private sentence(sentence: string): boolean {
    return FORMS.some(([pattern, happen]) => {
      const caught = pattern.exec(sentence);
      if (caught !== null) happen(this, caught.slice(1));
      return caught !== null;
    });
  }

  /** The person meant by a name or by a pronoun; the sentence is about them. */
  person(word: string): string {
    const pronoun = word.toLowerCase();
    if (pronoun === 'he' || pronoun === 'she') this.hearPronoun(this.last, pronoun);
    else this.last = word;
    return this.last;
  }

  hearPronoun(name: string, pronoun: string): void {
    const known = this.pronoun.get(name);
    expect(known === undefined || known === pronoun, `${name} is ${known} and ${pronoun}`).toBe(true);
    this.pronoun.set(name, pronoun);
  }

  answer(question: string): string {
    const thing = /^(?:Who has|Where is) the (.+)\?$/.exec(question)?.[1];
    const place =
      thing === undefined ? this.where.get(/^Where is (\w+)\?$/.exec(question)![1]!) : this.holder.get(thing);
    return `${place!.charAt(0).toUpperCase()}${place!.slice(1)}.`;
  }
}

const PREPOSITIONS = '(?:in|at|on) the \\w+';
const form = (pattern: string) => new RegExp(`^${pattern}$`);

const FORMS: readonly [RegExp, (reader: Reader, caught: string[]) => void][] = [
  [
    form(`(\\w+) was (${PREPOSITIONS})\\.`),
    (reader, [who, place]) => {
      hear(place!);
      reader.where.set(reader.person(who!), place!);
    },
  ],
  [
    form('(\\w+) had (an? \\w+ \\w+)(?: and (an? \\w+ \\w+))?\\.'),
    (reader, [who, ...things]) => {
      const person = reader.person(who!);
      for (const thing of things.filter((item) => item !== undefined)) reader.holder.set(named(thing), person);
    },
  ],
  [
    form('(\\w+) (?:went|walked|ran) to the (\\w+)\\.'),
    (reader, [who, place]) => void reader.where.set(reader.person(who!), `to the ${place}`),
  ],
  [
    form(`(${PREPOSITIONS.replace('in|at|on', 'In|At|On')}) (\\w+) found (an? \\w+ \\w+) and took it\\.`),
    (reader, [place, who, thing]) => {
      const person = stands(reader, who!, place!);
      reader.holder.set(named(thing!), person);
    },
  ],
  [
    form('(\\w+) met (\\w+) and gave (him|her) the (\\w+ \\w+)\\.'),
    (reader, [who, other, pronoun, thing]) => {
      const person = reader.person(who!);
      reader.hearPronoun(other!, pronoun === 'him' ? 'he' : 'she');
      expect(reader.holder.get(thing!), `${person} has the ${thing}`).toBe(person);
      reader.holder.set(thing!, other!);
      reader.where.set(other!, reader.where.get(person)!);
    },
  ],
  [form('"Thank you, (\\w+)," said (\\w+)\\.'), (reader, [, who]) => void reader.person(who!)],
  [
    form(`(\\w+) left the (\\w+ \\w+) (${PREPOSITIONS})\\.`),
    (reader, [who, thing, place]) => {
      const person = stands(reader, who!, place!);
      expect(reader.holder.get(thing!)).toBe(person);
      reader.holder.set(thing!, place!);
    },
  ],
  [
    form('(\\w+) saw the (\\w+ \\w+) there and picked it up\\.'),
    (reader, [who, thing]) => {
      const person = reader.person(who!);
      expect(inPlace(reader.where.get(person)!)).toBe(inPlace(reader.holder.get(thing!)!));
      reader.holder.set(thing!, person);
    },
  ],
  [form('[A-Z][a-z ]+, so (\\w+) was (?:happy|sad|tired|glad)\\.'), (reader, [who]) => void reader.person(who!)],
  [
    form(
      `(${PREPOSITIONS.replace('in|at|on', 'In|At|On')}) (\\w+) saw (an?|two|three|four|five|six|seven|eight|nine|ten) (\\w+) that (\\w+)\\.`,
    ),
    (reader, [place, who, count, , verb]) => {
      stands(reader, who!, place!);
      expect(verb!.endsWith('s'), `${count} … ${verb}`).toBe(/^an?$/.test(count!));
    },
  ],
  [
    form('"Where is the (\\w+ \\w+)\\?" asked (\\w+)\\.'),
    (reader, [thing]) => {
      reader.asked = thing!;
    },
  ],
  [
    form('"(?:It is (.+)|(I|\\w+) ha(?:ve|s) it)," said (\\w+)\\.'),
    (reader, [place, holder, who]) => {
      const claim = place ?? (holder === 'I' ? who! : holder!);
      expect(inPlace(claim), `where the ${reader.asked} is`).toBe(inPlace(reader.holder.get(reader.asked)!));
      reader.person(who!);
    },
  ],
];

/** The preposition that each place goes with, as it was first heard. */
const prepositions = new Map<string, string>();

/** Every place keeps one preposition in all stories. */
function hear(place: string): void {
  const [preposition, , name] = place.toLowerCase().split(' ') as [string, string, string];
  prepositions.set(name, prepositions.get(name) ?? preposition);
  expect(prepositions.get(name)).toBe(preposition);
}

const inPlace = (place: string) => place.toLowerCase().replace(/^(?:in|at|on|to) /, '');

/** The sentence says where its subject is, which must be known. */
function stands(reader: Reader, who: string, place: string): string {
  hear(place);
  const person = reader.person(who);
  expect(inPlace(place)).toBe(inPlace(reader.where.get(person)!));
  return person;
}

/** "an old box" → "old box", once the article has been checked. */
function named(thing: string): string {
  expect(thing).toMatch(/^(?:an [aeiou]|a [^aeiou])/);
  return thing.replace(/^an? /, '');
}

describe('stories', () => {
  const random = createRandom(5);
  const stories = Array.from({ length: 500 }, () => story(random));

  it('are told in sentences that a reader can follow, and their questions have the answers that follow from them', () => {
    for (const text of stories) {
      const reader = new Reader();
      const [body, ...questions] = text.split('\n');
      expect(reader.read(body!), text).toEqual([]);
      expect(questions.length).toBeGreaterThanOrEqual(2);
      for (const line of questions) {
        const [, question, answer] = /^(.+\?) (.+)$/.exec(line)!;
        expect(inPlace(reader.answer(question!)), `${text}\n${question}`).toBe(inPlace(answer!));
      }
    }
  });

  it('differ from one another', () => {
    expect(new Set(stories).size).toBe(stories.length);
  });
});
