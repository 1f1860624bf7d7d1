"""The setting ``real``: SmolLM2-135M-Instruct learns public facts, and answers public suites before and after."""
