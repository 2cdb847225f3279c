/** How bad a finding is: an error would or could execute code, a warning is refused by readers, a note is to be known. */
export type Level = 'error' | 'warning' | 'note';

export interface Rule {
  readonly level: Level;
  /** What a file with such a finding has or does, as a sentence. */
  readonly summary: string;
  /** What to do about it. */
  readonly help: string;
}

const DO_NOT_LOAD =
  'Do not load the file in Python, unless with torch.load(weights_only=True) of a current torch. Get the weights as safetensors.';
const DAMAGED = 'Get the file again from its source, and compare its sha256.';

/** Every kind of finding there is, by its id. */
export const RULES = {
  'pickle-dangerous-name': {
    level: 'error',
    summary: 'A pickle asks for a Python name with which programs, files or the network are reached.',
    help: DO_NOT_LOAD,
  },
  'pickle-unlisted-name': {
    level: 'warning',
    summary: 'A pickle asks for a Python name that is not among those that weights need.',
    help: DO_NOT_LOAD,
  },
  'pickle-call': {
    level: 'warning',
    summary: 'A pickle calls something that is not among what weights need. It is an error when harm is known of it.',
    help: DO_NOT_LOAD,
  },
  'pickle-state': {
    level: 'warning',
    summary: 'A pickle sets the attributes of an object, or calls its __setstate__.',
    help: DO_NOT_LOAD,
  },
  'pickle-outside': {
    level: 'warning',
    summary:
      'A pickle asks for something outside its file: a registered extension, an object by a persistent id, a buffer.',
    help: DO_NOT_LOAD,
  },
  'pickle-nested': {
    level: 'warning',
    summary: 'A pickle carries another pickle among its bytes.',
    help: DO_NOT_LOAD,
  },
  'pickle-malformed': {
    level: 'warning',
    summary: 'A pickle breaks off or breaks the rules. What stands before that place is executed all the same.',
    help: DO_NOT_LOAD,
  },
  'pickle-trailing': {
    level: 'warning',
    summary: 'Bytes follow the end of a pickle; they could hold another one.',
    help: DAMAGED,
  },
  'archive-malformed': {
    level: 'warning',
    summary: 'An archive is not as torch writes it, so that two readers can see different members in it.',
    help: DAMAGED,
  },
  'archive-crc': {
    level: 'warning',
    summary: "A member's bytes do not have the CRC that the archive says.",
    help: DAMAGED,
  },
  'archive-nested': { level: 'warning', summary: 'An archive holds another archive.', help: DAMAGED },
  'archive-code': {
    level: 'warning',
    summary: 'An archive holds program code, as TorchScript archives do.',
    help: 'Save the state_dict alone.',
  },
  unreadable: {
    level: 'warning',
    summary: 'A file breaks the rules of its format.',
    help: DAMAGED,
  },
  unsupported: {
    level: 'warning',
    summary: 'A file has something in it that birdbone does not read.',
    help: 'Get the weights as safetensors.',
  },
  'remote-code': {
    level: 'warning',
    summary: 'A configuration names code that is run when the model is loaded with trust_remote_code.',
    help: 'Read the code that it names, or load without trust_remote_code.',
  },
  'program-file': {
    level: 'note',
    summary: 'A program lies beside the weights.',
    help: 'It does nothing by itself; read it before you run it.',
  },
  template: {
    level: 'note',
    summary: 'A chat template is a program in Jinja, which loaders run when they format a conversation.',
    help: 'Read it, or use a loader that runs templates in a sandbox.',
  },
  'template-escape': {
    level: 'error',
    summary: 'A chat template reaches for the insides of Python, as attacks on unsandboxed Jinja do.',
    help: 'Do not use this template.',
  },
} as const satisfies Record<string, Rule>;

export type RuleId = keyof typeof RULES;

/** One thing that a scan found. */
export interface Finding {
  readonly rule: RuleId;
  readonly level: Level;
  readonly file: string;
  /** What was found, as a sentence with names and values. */
  readonly message: string;
  /** Of an archive. */
  readonly member?: string;
  /** Where it is in the file, in bytes, where it is in one place. */
  readonly byteOffset?: number;
}

/** A finding of a rule, with the rule's own level. */
export function finding(rule: RuleId, file: string, message: string, place: Partial<Finding> = {}): Finding {
  return { rule, level: RULES[rule].level, file, message, ...place };
}
