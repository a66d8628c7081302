"""The engine `remote`: other appliances, the boards, render the segments. It needs neither weights nor torch."""
