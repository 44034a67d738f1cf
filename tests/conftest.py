"""What every test stands on."""

import signal

# What a shell starts in the background ignores Ctrl-C, and so does all that it starts: servers and
# workers that are told to end would be waited for in vain.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
