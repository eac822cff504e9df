"""An HSR that is not there: its controllers' topics and actions, message for message.

Written from the vendor's public interfaces; nothing here is shared with the bridge, so that a
mistake of one is not a mistake of both.
"""
