export { withNewIds } from './config-ids.js';
export { cutTokenizer, cutTokenizerConfig, STALE_FILES } from './cut-tokenizer.js';
export { mergePath, mergeRanks } from './merge-path.js';
export { type KeptBecause, newIdsOf, type VocabularyFiles, type VocabularyPlan, vocabularyPlan } from './plan.js';
export { cutVocabularyFiles, readVocabularyFiles } from './vocabulary-files.js';
