"""Whether what was written is served as it is in Keras.

`reference` asks the user's model as its user calls it, `prove` asks the written version through a real server, `parity`
holds one against the other. `rows` says what a request may consist of, `batches` which requests are tried, `drawing`
makes samples up where there are none, `independence` shows whether rows may share a run, `diagnosis` tells why answers
differ.
"""
