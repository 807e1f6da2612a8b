"""Clay's encoders: a checkpoint and chips' pixels come in, embeddings go out.

Import `encoder.Encoder`, and `weights` for a checkpoint's way to the slim form; `weights` alone does without torch.
"""
