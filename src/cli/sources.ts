export type Source = 'flag' | 'environment' | 'recipe' | 'default';

/** Recipe fields that a flag sets, by the flag. */
const FLAG_OF: Readonly<Record<string, string>> = {
  out: 'out',
  maxDrop: 'max-drop',
  gate: 'gate',
  gateConfident: 'gate-confident',
  maxShardBytes: 'max-shard-size',
  seed: 'seed',
};

/**
 * Where each field of a resolved recipe got its value. `written` is what the recipe file says, `overrides` what flags and
 * environment set, `argv` the command line that tells the two apart.
 */
export function sourcesOf(
  resolved: object,
  { written, overrides, argv }: { written: unknown; overrides: object; argv: readonly string[] },
): Record<string, Source> {
  const inFile = typeof written === 'object' && written !== null ? written : {};
  return Object.fromEntries(
    Object.keys(resolved).map((field): [string, Source] => {
      if (Object.hasOwn(overrides, field))
        return [field, isOnCommandLine(FLAG_OF[field], argv) ? 'flag' : 'environment'];
      return [field, Object.hasOwn(inFile, field) ? 'recipe' : 'default'];
    }),
  );
}

function isOnCommandLine(flag: string | undefined, argv: readonly string[]): boolean {
  return argv.some((word) => word === `--${flag}` || word.startsWith(`--${flag}=`));
}
