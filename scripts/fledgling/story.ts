import type { Random } from './random.js';
import {
  ANIMALS,
  article,
  LOOKS,
  NUMBER_WORDS,
  PEOPLE,
  type Person,
  PLACES,
  type Place,
  THINGS,
  WEATHER,
} from './words.js';

/** What is true at one moment of a story, so that later sentences and the answers agree with it. */
interface World {
  readonly random: Random;
  readonly people: readonly Person[];
  readonly where: Map<Person, Place>;
  /** "red ball" → who carries it, or where it lies. */
  readonly holder: Map<string, Person | Place>;
  /** Whom the next sentence may call "he" or "she": the subject of the one before. */
  topic?: Person;
}

/**
 * A story of two or three people who walk about, find, give and leave things, closed by questions about where everything is.
 * Every answer follows from the sentences before it.
 */
export function story(random: Random): string {
  const people = random.sample(PEOPLE, random.integer(2, 3));
  const world: World = { random, people, where: new Map(), holder: new Map() };
  const sentences = [...opening(world)];
  const events = random.integer(5, 9);
  for (let i = 0; i < events; i += 1) sentences.push(nextEvent(world));
  return `${sentences.join(' ')}\n${questions(world).join('\n')}`;
}

function opening(world: World): string[] {
  const { random, people } = world;
  const places = random.sample(PLACES, people.length);
  const sentences = people.map((person, i) => {
    world.where.set(person, places[i]!);
    return `${person.name} was ${spot(places[i]!)}.`;
  });
  const things = random.sample(THINGS, random.integer(1, 2));
  const owner = people.at(-1)!;
  const carried = things.map((thing) => {
    const name = `${random.pick(LOOKS)} ${thing}`;
    world.holder.set(name, owner);
    return `${article(name)} ${name}`;
  });
  world.topic = owner;
  sentences.push(`${subject(world, owner)} had ${carried.join(' and ')}.`);
  return sentences;
}

const spot = (place: Place) => `${place.at} the ${place.name}`;
const capital = (word: string) => word[0]!.toUpperCase() + word.slice(1);

/** The person as the subject of the next sentence: mostly a pronoun when the last one was about the same person. */
function subject(world: World, person: Person): string {
  const known = world.topic === person && world.random.chance(0.8);
  world.topic = person;
  return known ? capital(person.subject) : person.name;
}

const carriedBy = (world: World, person: Person) =>
  [...world.holder].filter(([, holder]) => holder === person).map(([thing]) => thing);

const lyingAt = (world: World, place: Place) =>
  [...world.holder].filter(([, holder]) => holder === place).map(([thing]) => thing);

type Event = (world: World, person: Person) => string | undefined;

/** Each says what happens and makes it so, or nothing when it cannot happen to this person now. */
const EVENTS: readonly Event[] = [walk, walk, find, find, give, give, leave, take, look, watch, ask];

function nextEvent(world: World): string {
  const { random } = world;
  for (;;) {
    const person = world.topic !== undefined && random.chance(0.6) ? world.topic : random.pick(world.people);
    const sentence = random.pick(EVENTS)(world, person);
    if (sentence !== undefined) return sentence;
  }
}

function walk(world: World, person: Person): string {
  const { random } = world;
  const here = world.where.get(person);
  const place = random.pick(PLACES.filter((other) => other !== here));
  world.where.set(person, place);
  const verb = random.pick(['went', 'walked', 'ran']);
  return `${subject(world, person)} ${verb} to the ${place.name}.`;
}

function find(world: World, person: Person): string | undefined {
  const { random } = world;
  if (world.holder.size >= 4) return undefined;
  const used = [...world.holder.keys()].map((name) => name.split(' ')[1]);
  const thing = `${random.pick(LOOKS)} ${random.pick(THINGS.filter((other) => !used.includes(other)))}`;
  world.holder.set(thing, person);
  const place = world.where.get(person)!;
  return `${capital(spot(place))} ${nameOrPronoun(world, person)} found ${article(thing)} ${thing} and took it.`;
}

/** As `subject`, inside a sentence. */
function nameOrPronoun(world: World, person: Person): string {
  const word = subject(world, person);
  return word === person.name ? word : word.toLowerCase();
}

function give(world: World, person: Person): string | undefined {
  const { random } = world;
  const things = carriedBy(world, person);
  const others = world.people.filter((other) => other !== person);
  if (things.length === 0) return undefined;
  const thing = random.pick(things);
  const other = random.pick(others);
  world.holder.set(thing, other);
  world.where.set(other, world.where.get(person)!);
  const met = `${subject(world, person)} met ${other.name} and gave ${other.object} the ${thing}.`;
  if (random.chance(0.5)) return met;
  // Who spoke last is whom a reader takes the next pronoun for.
  world.topic = other;
  return `${met} "Thank you, ${person.name}," said ${other.name}.`;
}

function leave(world: World, person: Person): string | undefined {
  const things = carriedBy(world, person);
  if (things.length === 0) return undefined;
  const thing = world.random.pick(things);
  const place = world.where.get(person)!;
  world.holder.set(thing, place);
  return `${subject(world, person)} left the ${thing} ${spot(place)}.`;
}

function take(world: World, person: Person): string | undefined {
  const things = lyingAt(world, world.where.get(person)!);
  if (things.length === 0) return undefined;
  const thing = world.random.pick(things);
  world.holder.set(thing, person);
  return `${subject(world, person)} saw the ${thing} there and picked it up.`;
}

function look(world: World, person: Person): string {
  const { sky, mood } = world.random.pick(WEATHER);
  return `${sky}, so ${nameOrPronoun(world, person)} was ${mood}.`;
}

function watch(world: World, person: Person): string {
  const { random } = world;
  const animal = random.pick(ANIMALS);
  const who = nameOrPronoun(world, person);
  return random.chance(0.5)
    ? `${capital(spot(world.where.get(person)!))} ${who} saw ${article(animal.one)} ${animal.one} that ${animal.verb}s.`
    : `${capital(spot(world.where.get(person)!))} ${who} saw ${random.pick(NUMBER_WORDS)} ${animal.many} that ${animal.verb}.`;
}

function ask(world: World, person: Person): string | undefined {
  const things = [...world.holder].filter(([, holder]) => holder !== person);
  if (things.length === 0) return undefined;
  const [thing, holder] = world.random.pick(things);
  const other = world.random.pick(world.people.filter((candidate) => candidate !== person));
  const answer = 'at' in holder ? `It is ${spot(holder)}` : holder === other ? 'I have it' : `${holder.name} has it`;
  const question = `"Where is the ${thing}?" asked ${person.name}.`;
  world.topic = other;
  return `${question} "${answer}," said ${other.name}.`;
}

function questions(world: World): string[] {
  const { random } = world;
  const things = random.sample([...world.holder], Math.min(2, world.holder.size));
  const about = things.map(([thing, holder]) =>
    'at' in holder ? `Where is the ${thing}? ${capital(spot(holder))}.` : `Who has the ${thing}? ${holder.name}.`,
  );
  const person = random.pick(world.people);
  return [...about, `Where is ${person.name}? ${capital(spot(world.where.get(person)!))}.`];
}
