import { END_OF_TEXT } from './generate-text.js';
import type { Vocabulary } from './train-tokenizer.js';

const END_OF_TEXT_TOKEN = {
  content: END_OF_TEXT,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
};

/** The contents of tokenizer.json, as the `tokenizers` library of Hugging Face reads and writes it. */
export function tokenizerJson(vocabulary: Vocabulary): object {
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [{ id: vocabulary.ids.get(END_OF_TEXT), ...END_OF_TEXT_TOKEN }],
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(vocabulary.ids),
      merges: vocabulary.merges.map((pair) => pair.join(' ')),
    },
  };
}

/** The contents of tokenizer_config.json. Nothing is added to a text: its user puts the end-of-text token where documents meet. */
export function tokenizerConfig(context: number): object {
  return {
    add_bos_token: false,
    add_prefix_space: false,
    added_tokens_decoder: { '0': END_OF_TEXT_TOKEN },
    bos_token: END_OF_TEXT,
    clean_up_tokenization_spaces: false,
    eos_token: END_OF_TEXT,
    model_max_length: context,
    tokenizer_class: 'GPT2TokenizerFast',
    unk_token: END_OF_TEXT,
  };
}

/** The contents of special_tokens_map.json. */
export const SPECIAL_TOKENS = { bos_token: END_OF_TEXT, eos_token: END_OF_TEXT, unk_token: END_OF_TEXT };
