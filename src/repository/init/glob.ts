/** One step of a pattern: the positions in `text` that it can lead to from position `at`. */
type Step = (text: string, at: number) => number[];

/**
 * True when a pattern of a .gitattributes file covers a path (relative, with `/`), as git's wildmatch has it. Follows all ways
 * at once, so its time is bounded by the product of both lengths: patterns come from strangers' repositories.
 * Source: gitignore(5), "Pattern format"; gitattributes(5) for what differs.
 */
export function patternCovers(pattern: string, path: string): boolean {
  // In .gitattributes a folder's pattern says nothing about the files inside.
  if (pattern === '' || pattern.endsWith('/')) return false;
  const anchored = pattern.includes('/');
  const text = anchored ? path : path.slice(path.lastIndexOf('/') + 1);
  let positions = new Set([0]);
  for (const step of stepsOf(anchored ? pattern.replace(/^\//, '') : pattern)) {
    positions = new Set([...positions].flatMap((at) => step(text, at)));
    if (positions.size === 0) return false;
  }
  return positions.has(text.length);
}

function stepsOf(pattern: string): Step[] {
  const steps: Step[] = [];
  for (let at = 0; at < pattern.length; ) {
    const [step, length] = nextStep(pattern, at);
    steps.push(step);
    at += length;
  }
  return steps;
}

function nextStep(pattern: string, at: number): [Step, number] {
  const rest = pattern.slice(at);
  const startsComponent = at === 0 || pattern[at - 1] === '/';
  if (startsComponent && rest.startsWith('**/')) return [anyFolders, 3];
  if (startsComponent && rest === '**') return [everything, 2];
  const stars = /^\*+/.exec(rest);
  if (stars !== null) return [withinComponent, stars[0].length];
  if (rest.startsWith('?')) return [oneOf((character) => character !== '/'), 1];
  // A class ends at the first "]" that is not its first member.
  const found = /^\[([!^]?)(\]?(?:\\.|[^\]\\])*)\]/s.exec(rest);
  if (found !== null) return [oneOf(classOf(found[2] ?? '', found[1] !== '')), found[0].length];
  const escaped = rest.startsWith('\\') && rest.length > 1;
  const literal = rest[escaped ? 1 : 0];
  return [oneOf((character) => character === literal), escaped ? 2 : 1];
}

function oneOf(accepts: (character: string) => boolean): Step {
  return (text, at) => (at < text.length && accepts(text[at] ?? '') ? [at + 1] : []);
}

const anyFolders: Step = (text, at) => [at, ...positionsFrom(text, at).filter((end) => text[end - 1] === '/')];

const everything: Step = (text, at) => positionsFrom(text, at);

const withinComponent: Step = (text, at) => {
  const slash = text.indexOf('/', at);
  const end = slash === -1 ? text.length : slash;
  return [at, ...positionsFrom(text.slice(0, end), at)];
};

/** Positions behind at least one character. */
function positionsFrom(text: string, at: number): number[] {
  return Array.from({ length: Math.max(0, text.length - at) }, (_, index) => at + index + 1);
}

/** `a-z`, `[:alpha:]` and single characters. */
function classOf(members: string, negated: boolean): (character: string) => boolean {
  const ranges: [string, string][] = [];
  for (const [, escaped, from, to] of members.matchAll(/\\(.)|(.)(?:-([^\]]))?/gs)) {
    const first = escaped ?? from ?? '';
    ranges.push([first, to ?? first]);
  }
  const holds = (character: string): boolean => ranges.some(([from, to]) => character >= from && character <= to);
  return (character) => character !== '/' && holds(character) !== negated;
}
