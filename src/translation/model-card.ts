import type { MetadataReader } from './metadata-reader.js';

/** SPDX-like: "apache-2.0", "llama3.1". Anything else is a text, which is no field of a model card. */
const LICENSE = /^[\w.+-]{1,64}$/;

/** The licence that a README.md's front matter names, as Hugging Face's model cards do; undefined where it names none. */
export function licenseOfCard(readme: string): string | undefined {
  const frontMatter = /^---\r?\n(.*?)\r?\n---/s.exec(readme)?.[1];
  const license = /^license:[ \t]*["']?([^"'\r\n]+?)["']?[ \t]*$/m.exec(frontMatter ?? '')?.[1];
  return license !== undefined && LICENSE.test(license) ? license : undefined;
}

/** A README.md that names the licence a GGUF names; undefined where it names none, or a whole text. */
export function cardOfGguf(reader: MetadataReader): string | undefined {
  const license = reader.text('general.license');
  return license !== undefined && LICENSE.test(license) ? `---\nlicense: ${license}\n---\n` : undefined;
}
