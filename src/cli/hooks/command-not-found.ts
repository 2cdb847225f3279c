import type { Hook } from '@oclif/core/hooks';
import { BirdboneError } from '../../errors.js';
import { nearest } from '../../nearest.js';

const commandNotFound: Hook<'command_not_found'> = async ({ id, config }) => {
  // oclif joins what follows a command without arguments to its name: `doctor x` arrives as "doctor:x".
  const [command = '', ...extra] = id.split(':');
  if (extra.length > 0 && config.findCommand(command) !== undefined) {
    throw new BirdboneError('usage', `birdbone ${command} takes no argument "${extra.join(' ')}".`, {
      suggestions: [`birdbone ${command} --help`],
    });
  }
  const near = nearest(id, config.commandIDs);
  throw new BirdboneError('usage', `There is no command "${id}". Known: ${config.commandIDs.join(', ')}.`, {
    suggestions: near.length > 0 ? near.slice(0, 2).map((name) => `birdbone ${name} --help`) : ['birdbone --help'],
  });
};

export default commandNotFound;
