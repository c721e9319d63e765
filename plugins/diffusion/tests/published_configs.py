"""What published text encoders say in their files, and the size of their states."""

import json

_CLIP_VIT_L_14 = """
{"_name_or_path": "clip-vit-large-patch14/", "architectures": ["CLIPModel"],
"initializer_factor": 1.0, "logit_scale_init_value": 2.6592, "model_type": "clip",
"projection_dim": 768, "torch_dtype": "float32", "transformers_version": null, "text_config":
{"_name_or_path": "", "add_cross_attention": false, "architectures": null, "attention_dropout":
0.0, "bad_words_ids": null, "bos_token_id": 0, "do_sample": false, "chunk_size_feed_forward": 0,
"cross_attention_hidden_size": null, "dropout": 0.0, "decoder_start_token_id": null,
"diversity_penalty": 0.0, "early_stopping": false, "encoder_no_repeat_ngram_size": 0,
"eos_token_id": 2, "finetuning_task": null, "forced_bos_token_id": null, "hidden_act":
"quick_gelu", "hidden_size": 768, "id2label": {"0": "LABEL_0"}, "initializer_factor": 1.0,
"initializer_range": 0.02, "intermediate_size": 3072, "is_decoder": false, "is_encoder_decoder":
false, "label2id": {"LABEL_0": 0}, "layer_norm_eps": 1e-05, "length_penalty": 1.0, "max_length":
20, "max_position_embeddings": 77, "min_length": 0, "num_beams": 1, "model_type":
"clip_text_model", "no_repeat_ngram_size": 0, "num_attention_heads": 12, "num_beam_groups": 1,
"num_hidden_layers": 12, "num_return_sequences": 1, "output_attentions": false, "output_scores":
false, "pad_token_id": 1, "prefix": null, "problem_type": null, "projection_dim": 768,
"pruned_heads": {}, "return_dict": true, "remove_invalid_values": false, "repetition_penalty":
1.0, "sep_token_id": null, "task_specific_params": null, "temperature": 1.0,
"tie_encoder_decoder": false, "tie_word_embeddings": true, "tokenizer_class": null, "top_k": 50,
"top_p": 1.0, "torch_dtype": null, "torchscript": false, "transformers_version": "4.16.0.dev0",
"typical_p": 1.0, "use_bfloat16": false, "vocab_size": 49408}, "text_config_dict":
{"hidden_size": 768, "projection_dim": 768}, "vision_config": {"hidden_size": 1024},
"vision_config_dict": null}
"""
_T5_SMALL = """
{"architectures": ["T5ForConditionalGeneration"], "d_ff": 2048, "d_kv": 64, "d_model": 512,
"decoder_start_token_id": 0, "dropout_rate": 0.1, "eos_token_id": 1, "initializer_factor": 1.0,
"is_encoder_decoder": true, "layer_norm_epsilon": 1e-06, "model_type": "t5", "n_positions": 512,
"num_heads": 8, "num_layers": 6, "output_past": true, "pad_token_id": 0,
"relative_attention_num_buckets": 32, "vocab_size": 32128, "task_specific_params":
{"summarization": {"early_stopping": true, "length_penalty": 2.0, "max_length": 200, "prefix":
"summarize: "}}}
"""
_T5_1_1 = """
{"architectures": ["T5ForConditionalGeneration"], "d_ff": 1024, "d_kv": 64, "d_model": 512,
"feed_forward_proj": "gated-gelu", "dense_act_fn": "gelu_new", "is_gated_act": true,
"model_type": "t5", "num_decoder_layers": 8, "num_heads": 6, "num_layers": 8,
"tie_word_embeddings": false, "use_cache": true, "vocab_size": 32128,
"relative_attention_max_distance": 128}
"""
_BERT_MULTILINGUAL = """
{"architectures": ["BertForMaskedLM"], "attention_probs_dropout_prob": 0.1, "directionality":
"bidi", "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "hidden_size": 768,
"initializer_range": 0.02, "intermediate_size": 3072, "layer_norm_eps": 1e-12,
"max_position_embeddings": 512, "model_type": "bert", "num_attention_heads": 12,
"num_hidden_layers": 12, "pad_token_id": 0, "pooler_fc_size": 768, "pooler_num_attention_heads":
12, "pooler_type": "first", "pooler_num_fc_layers": 3, "pooler_size_per_head": 128,
"type_vocab_size": 2, "vocab_size": 119547, "position_embedding_type": "absolute", "use_cache":
true}
"""
_CLIP_TOKENIZER = """
{"add_prefix_space": false, "bos_token": {"__type": "AddedToken", "content": "<|startoftext|>",
"lstrip": false, "normalized": true, "rstrip": false, "single_word": false}, "do_lower_case":
true, "eos_token": {"__type": "AddedToken", "content": "<|endoftext|>", "lstrip": false,
"normalized": true, "rstrip": false, "single_word": false}, "errors": "replace",
"model_max_length": 77, "pad_token": "<|endoftext|>", "name_or_path":
"openai/clip-vit-large-patch14", "special_tokens_map_file": "./special_tokens_map.json",
"tokenizer_class": "CLIPTokenizer", "unk_token": {"__type": "AddedToken", "content":
"<|endoftext|>", "lstrip": false, "normalized": true, "rstrip": false, "single_word": false}}
"""
_T5_TOKENIZER = """
{"additional_special_tokens": ["<extra_id_0>"], "eos_token": "</s>", "extra_ids": 100,
"model_max_length": 512, "pad_token": "<pad>", "legacy": true, "clean_up_tokenization_spaces":
true, "sp_model_kwargs": {}, "tokenizer_class": "T5Tokenizer", "unk_token": "<unk>"}
"""
_BERT_TOKENIZER = """
{"do_lower_case": true, "unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]",
"cls_token": "[CLS]", "mask_token": "[MASK]", "tokenize_chinese_chars": true, "strip_accents":
null, "never_split": null, "do_basic_tokenize": true, "tokenizer_class": "BertTokenizer",
"max_length": 128, "pad_to_multiple_of": null, "pad_token_type_id": 0, "padding_side": "right",
"stride": 0, "truncation_side": "right", "truncation_strategy": "longest_first",
"model_max_length": 512}
"""
CONFIGS = {
    "CLIP ViT-L/14": (json.loads(_CLIP_VIT_L_14), 768),
    "T5 small": (json.loads(_T5_SMALL), 512),
    "T5 1.1": (json.loads(_T5_1_1), 512),
    "BERT multilingual": (json.loads(_BERT_MULTILINGUAL), 768),
}
TOKENIZERS = {
    "clip": json.loads(_CLIP_TOKENIZER),
    "t5": json.loads(_T5_TOKENIZER),
    "bert": json.loads(_BERT_TOKENIZER),
}
