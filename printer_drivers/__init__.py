"""From a document to ink on paper: image, printer commands, replies, and the judgement whether it printed.

Pure but for `transports`; of ours it knows `protocol.document` alone.
"""
