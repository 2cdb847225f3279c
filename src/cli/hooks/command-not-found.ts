import type { Hook } from '@oclif/core/hooks';
import { BirdboneError } from '../../errors.js';
import { nearest } from '../../nearest.js';

const commandNotFound: Hook<'command_not_found'> = async ({ id, config }) => {
  // oclif joins what follows a name that it does not know, or a command without arguments: `doctor x` arrives as "doctor:x".
  const [command = '', ...extra] = id.split(':');
  if (extra.length > 0 && config.findCommand(command) !== undefined) {
    throw new BirdboneError('usage', `birdbone ${command} takes no argument "${extra.join(' ')}".`, {
      suggestions: [`birdbone ${command} --help`],
    });
  }
  const known = config.commandIDs.map((name) => name.replaceAll(':', ' '));
  const { typed, near } = typedName([command, ...extra], known);
  throw new BirdboneError('usage', `There is no command "${typed}". Known: ${known.join(', ')}.`, {
    suggestions: near.length > 0 ? near.slice(0, 2).map((name) => `birdbone ${name} --help`) : ['birdbone --help'],
  });
};

/** As many of the words as are near to a name of that many words, and what they may have meant: the rest are arguments. */
function typedName(words: readonly string[], known: readonly string[]): { typed: string; near: string[] } {
  const isGroup = known.some((name) => name.startsWith(`${words[0]} `));
  for (const count of [2, 1]) {
    const typed = words.slice(0, count).join(' ');
    const near = nearest(
      typed,
      known.filter((name) => name.split(' ').length === count),
    );
    if (near.length > 0) return { typed, near };
  }
  return { typed: words.slice(0, isGroup ? 2 : 1).join(' '), near: [] };
}

export default commandNotFound;
