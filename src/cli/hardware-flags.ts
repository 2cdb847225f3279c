/** What `--for` takes: names of src/hardware's profiles, and `auto` for the machine at hand (its test holds both lists together). */
export const HARDWARE = ['auto', 'llama.cpp-cpu', 'vllm-h100', 'vllm-a100', 'laptop-8gb', 'mobile'] as const;
