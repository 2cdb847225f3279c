import { escaped } from '../checkpoint/index.js';
import { BirdboneError } from '../errors.js';

/** The error for a key that is understood and set to something that is not run. */
export function unsupportedValue(
  file: string,
  key: string,
  value: unknown,
  allowed: readonly unknown[],
): BirdboneError {
  const values = allowed.map((candidate) => JSON.stringify(candidate)).join(', ');
  return new BirdboneError(
    'unsupported',
    `${file} asks for ${escaped(key.slice(0, 120))} = ${shorten(value)}, which birdbone does not run. ` +
      (values === '' ? 'It must be absent or null.' : `Allowed: ${values}.`),
    { file },
  );
}

/** The error for numbers that contradict each other. */
export function disagreement(file: string, what: string): BirdboneError {
  return new BirdboneError('unreadable', `${file} is not a valid config: ${what}.`, { file });
}

/** A value from the file as JSON, cut to a length that an error message can carry. */
export function shorten(value: unknown): string {
  const text = JSON.stringify(value);
  return escaped(text.length > 80 ? `${text.slice(0, 77)}...` : text);
}
